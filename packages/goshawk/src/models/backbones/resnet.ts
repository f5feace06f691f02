// ResNet ("Deep Residual Learning", He et al. 2015), ResNeXt (Xie et al. 2017) and Res2Net (Gao et al. 2019), with torchvision's
// names.
import { type Conv2d, type Layer, MaxPool2d, Module, Sequential, scope, type Tensor } from '@goshawk/torch';
import type { Features } from '../structures.js';
import type { Backbone, FeatureLevel } from './backbone.js';
import {
  convThenNorm,
  makeConv,
  makeNorm,
  type Norm,
  type NormKind,
  type NormOptions,
  type ShortcutKind,
} from './conv-norm-layers.js';
import { DeepStem } from './deep-stem.js';
import { Bottle2neck } from './res2net-block.js';
import { BasicBlock, Bottleneck } from './residual-blocks.js';

export type ResNetDepth = 18 | 34 | 50 | 101 | 152;
/** Stages by their numbers in the paper: 2 is the first behind the stem. */
export type StageNumber = 2 | 3 | 4 | 5;

export interface ResNetOptions {
  readonly depth: ResNetDepth;
  /** Channels of the stem and of the first stage's 3x3 convolutions; 64 in the paper. */
  readonly width?: number;
  /** Of the bottlenecks' 3x3 convolutions; 32 or 64 in ResNeXt. Default 1. */
  readonly groups?: number;
  /** Channels of a group, and of one of `scale` splits, in the first stage. Default width. */
  readonly widthPerGroup?: number;
  /** Splits of the bottlenecks' channels (Res2Net); 1: none. Default 1. */
  readonly scale?: number;
  /** One 7x7 convolution, or three 3x3 ones (ResNet-C, Res2Net v1b). Default plain. */
  readonly stem?: 'plain' | 'deep';
  /** How what stands beside a stage's first block halves the resolution. Default convolution. */
  readonly shortcut?: ShortcutKind;
  /** Whether a bottleneck's stride lies in its first 1x1 convolution (Caffe's ResNets) instead of the 3x3 ones. */
  readonly strideIn1x1?: boolean;
  /** Above 1 the last stage keeps the resolution and dilates its 3x3 convolutions. Default 1. */
  readonly lastStageDilation?: number;
  /** The last stage that is built. Default 5. */
  readonly lastStage?: 4 | 5;
  readonly norm: NormKind;
  /** Added to the variance; torchvision sets 0 for its first published detectors. Default 1e-5. */
  readonly normEps?: number;
  /** How many of (stem, stage 1, ... stage 4) take no gradient; 2 when fine-tuning by custom. */
  readonly frozenStages: number;
}

const STAGE_BLOCKS: Readonly<Record<ResNetDepth, readonly [number, number, number, number]>> = {
  18: [2, 2, 2, 2],
  34: [3, 4, 6, 3],
  50: [3, 4, 6, 3],
  101: [3, 4, 23, 3],
  152: [3, 8, 36, 3],
};

function normOf({ norm, normEps }: ResNetOptions): NormOptions {
  return { kind: norm, eps: normEps };
}

/** Channels that come out of a stage. */
export function stageChannels({ depth, width = 64 }: ResNetOptions, stage: StageNumber): number {
  return width * 2 ** (stage - 2) * (depth >= 50 ? 4 : 1);
}

/** Network pixels a cell of what comes out of a stage. */
function stageStride({ lastStageDilation = 1 }: ResNetOptions, stage: StageNumber): number {
  return stage === 5 && lastStageDilation > 1 ? 16 : 2 ** stage;
}

/**
 * The blocks of one stage. It halves the resolution, but for stage 2 and a dilated stage 5.
 * @param override another stride or dilation than the stage's
 */
export function resNetStage(
  options: ResNetOptions,
  stage: StageNumber,
  override: { readonly stride?: 1 | 2; readonly dilation?: number } = {},
): Sequential {
  const { depth, width = 64, groups = 1, scale = 1, strideIn1x1 = false, lastStageDilation = 1, shortcut } = options;
  const norm = normOf(options);
  const index = stage - 2;
  const outChannels = stageChannels(options, stage);
  const dilation = override.dilation ?? (stage === 5 ? lastStageDilation : 1);
  const firstStride = override.stride ?? (stage > 2 && dilation === 1 ? 2 : 1);
  let channels = stage === 2 ? width : stageChannels(options, (stage - 1) as StageNumber);
  const blocks: Layer[] = [];
  for (let block = 0; block < STAGE_BLOCKS[depth][index]!; block++) {
    const stride = block === 0 ? firstStride : 1;
    if (depth >= 50) {
      const inner = groups * (options.widthPerGroup ?? width) * 2 ** index;
      const own = { width: inner, outChannels, stride, dilation, groups, strideIn1x1, shortcut, norm };
      blocks.push(scale > 1 ? new Bottle2neck(channels, { ...own, scale }) : new Bottleneck(channels, own));
    } else blocks.push(new BasicBlock(channels, outChannels, { stride, shortcut, norm }));
    channels = outChannels;
  }
  return new Sequential(...blocks);
}

export class ResNet extends Module implements Backbone {
  readonly conv1: Conv2d | DeepStem;
  readonly bn1: Norm;
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly layer4?: Sequential;
  readonly #maxPool = new MaxPool2d(3, { stride: 2, padding: 1 });
  readonly levels: readonly FeatureLevel[];

  constructor(options: ResNetOptions) {
    super();
    const { width = 64, frozenStages, lastStage = 5, stem: stemKind = 'plain' } = options;
    this.conv1 = stemKind === 'deep' ? new DeepStem(width, normOf(options)) : makeConv(3, width, 7, { stride: 2 });
    this.bn1 = makeNorm(normOf(options), width);
    this.layer1 = resNetStage(options, 2);
    this.layer2 = resNetStage(options, 3);
    this.layer3 = resNetStage(options, 4);
    if (lastStage === 5) this.layer4 = resNetStage(options, 5);
    this.levels = ([2, 3, 4, 5] as const)
      .filter((stage) => stage <= lastStage)
      .map((stage) => ({ channels: stageChannels(options, stage), stride: stageStride(options, stage) }));
    const stem = [this.conv1, this.bn1];
    for (const part of [stem, this.layer1, this.layer2, this.layer3, this.layer4 ?? []].slice(0, frozenStages).flat())
      part.freeze();
  }

  /** [N, 3, H, W] -> the outputs of the stages, strides 4, 8, 16 and, where it is built, 32. */
  forward(pixels: Tensor): Features {
    const stem = scope(() => {
      const [input, conv] = this.conv1 instanceof DeepStem ? this.conv1.beforeLast(pixels) : [pixels, this.conv1];
      return this.#maxPool.forward(convThenNorm(input, conv, this.bn1, { relu: true }));
    });
    const features: Tensor[] = [];
    let hidden = stem;
    for (const stage of [this.layer1, this.layer2, this.layer3, this.layer4]) {
      if (!stage) break;
      hidden = stage.call(hidden);
      features.push(hidden);
    }
    return features;
  }
}
