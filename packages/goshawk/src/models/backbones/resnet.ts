// ResNet ("Deep Residual Learning", He et al. 2015) and ResNeXt (Xie et al. 2017), with torchvision's names.
import {
  AffineChannel2d,
  BatchNorm2d,
  Conv2d,
  convFrozenNorm,
  FrozenBatchNorm2d,
  GroupNorm,
  init,
  Layer,
  MaxPool2d,
  Module,
  ops,
  Sequential,
  scope,
  type Tensor,
} from '@goshawk/torch';
import type { Features } from '../structures.js';

export type ResNetDepth = 18 | 34 | 50 | 101 | 152;
export type NormKind = 'frozen_batch' | 'batch' | 'group' | 'affine';
/** Stages by their numbers in the paper: 2 is the first behind the stem. */
export type StageNumber = 2 | 3 | 4 | 5;

export interface ResNetOptions {
  readonly depth: ResNetDepth;
  /** Channels of the stem and of the first stage's 3x3 convolutions; 64 in the paper. */
  readonly width?: number;
  /** Of the bottlenecks' 3x3 convolutions; 32 or 64 in ResNeXt. Default 1. */
  readonly groups?: number;
  /** Channels of a group in the first stage. Default width. */
  readonly widthPerGroup?: number;
  /** Whether a bottleneck's stride lies in its first 1x1 convolution (Caffe's ResNets) instead of the 3x3 one. */
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

type Norm = AffineChannel2d | BatchNorm2d | FrozenBatchNorm2d | GroupNorm;

const STAGE_BLOCKS: Readonly<Record<ResNetDepth, readonly [number, number, number, number]>> = {
  18: [2, 2, 2, 2],
  34: [3, 4, 6, 3],
  50: [3, 4, 6, 3],
  101: [3, 4, 23, 3],
  152: [3, 8, 36, 3],
};

type NormOptions = Pick<ResNetOptions, 'norm' | 'normEps'>;

function makeNorm({ norm, normEps: eps }: NormOptions, channels: number): Norm {
  switch (norm) {
    case 'frozen_batch':
      return new FrozenBatchNorm2d(channels, { eps });
    case 'batch':
      return new BatchNorm2d(channels, { eps });
    case 'group':
      return new GroupNorm(Math.min(32, channels), channels, { eps });
    case 'affine':
      return new AffineChannel2d(channels);
  }
}

/** A convolution and its norm; a frozen norm disappears into the convolution's weight. */
function convNorm(input: Tensor, conv: Conv2d, norm: Norm): Tensor {
  return norm instanceof FrozenBatchNorm2d || norm instanceof AffineChannel2d
    ? convFrozenNorm(input, conv, norm)
    : norm.forward(conv.forward(input));
}

function conv(
  inChannels: number,
  outChannels: number,
  kernel: number,
  { stride = 1, dilation = 1, groups = 1 }: { stride?: number; dilation?: number; groups?: number } = {},
): Conv2d {
  const padding = (dilation * (kernel - 1)) / 2;
  const made = new Conv2d(inChannels, outChannels, kernel, { stride, padding, dilation, groups, bias: false });
  // He et al. 2015 (rectifiers), over the outputs: as torchvision starts its ResNets.
  init.kaimingNormal(made.weight, { mode: 'fan_out', nonlinearity: 'relu' });
  return made;
}

class Downsample extends Sequential {
  readonly #conv: Conv2d;
  readonly #norm: Norm;

  constructor(inChannels: number, outChannels: number, stride: number, options: NormOptions) {
    const projection = conv(inChannels, outChannels, 1, { stride });
    const norm = makeNorm(options, outChannels);
    super(projection, norm);
    this.#conv = projection;
    this.#norm = norm;
  }

  override forward(input: Tensor): Tensor {
    return convNorm(input, this.#conv, this.#norm);
  }
}

/** Two 3x3 convolutions beside the identity. */
class BasicBlock extends Layer {
  readonly conv1: Conv2d;
  readonly bn1: Norm;
  readonly conv2: Conv2d;
  readonly bn2: Norm;
  readonly downsample?: Downsample;

  constructor(inChannels: number, width: number, stride: number, norm: NormOptions) {
    super();
    this.conv1 = conv(inChannels, width, 3, { stride });
    this.bn1 = makeNorm(norm, width);
    this.conv2 = conv(width, width, 3);
    this.bn2 = makeNorm(norm, width);
    if (stride !== 1 || inChannels !== width) this.downsample = new Downsample(inChannels, width, stride, norm);
  }

  override forward(input: Tensor): Tensor {
    const hidden = ops.relu_(convNorm(input, this.conv1, this.bn1));
    const output = convNorm(hidden, this.conv2, this.bn2);
    return ops.relu_(ops.add_(output, this.downsample ? this.downsample.forward(input) : input));
  }
}

interface BottleneckOptions {
  /** Channels inside. */
  readonly width: number;
  readonly outChannels: number;
  readonly stride: number;
  readonly dilation: number;
  readonly groups: number;
  readonly strideIn1x1: boolean;
  readonly norm: NormOptions;
}

/** 1x1, 3x3 and 1x1 convolutions beside the identity. */
class Bottleneck extends Layer {
  readonly conv1: Conv2d;
  readonly bn1: Norm;
  readonly conv2: Conv2d;
  readonly bn2: Norm;
  readonly conv3: Conv2d;
  readonly bn3: Norm;
  readonly downsample?: Downsample;

  constructor(
    inChannels: number,
    { width, outChannels, stride, dilation, groups, strideIn1x1, norm }: BottleneckOptions,
  ) {
    super();
    this.conv1 = conv(inChannels, width, 1, { stride: strideIn1x1 ? stride : 1 });
    this.bn1 = makeNorm(norm, width);
    this.conv2 = conv(width, width, 3, { stride: strideIn1x1 ? 1 : stride, dilation, groups });
    this.bn2 = makeNorm(norm, width);
    this.conv3 = conv(width, outChannels, 1);
    this.bn3 = makeNorm(norm, outChannels);
    if (stride !== 1 || inChannels !== outChannels)
      this.downsample = new Downsample(inChannels, outChannels, stride, norm);
  }

  override forward(input: Tensor): Tensor {
    let hidden = ops.relu_(convNorm(input, this.conv1, this.bn1));
    hidden = ops.relu_(convNorm(hidden, this.conv2, this.bn2));
    const output = convNorm(hidden, this.conv3, this.bn3);
    return ops.relu_(ops.add_(output, this.downsample ? this.downsample.forward(input) : input));
  }
}

/** Channels that come out of a stage. */
export function stageChannels({ depth, width = 64 }: ResNetOptions, stage: StageNumber): number {
  return width * 2 ** (stage - 2) * (depth >= 50 ? 4 : 1);
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
  const { depth, width = 64, groups = 1, strideIn1x1 = false, lastStageDilation = 1 } = options;
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
      blocks.push(
        new Bottleneck(channels, { width: inner, outChannels, stride, dilation, groups, strideIn1x1, norm: options }),
      );
    } else blocks.push(new BasicBlock(channels, outChannels, stride, options));
    channels = outChannels;
  }
  return new Sequential(...blocks);
}

export class ResNet extends Module {
  readonly conv1: Conv2d;
  readonly bn1: Norm;
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly layer4?: Sequential;
  readonly #maxPool = new MaxPool2d(3, { stride: 2, padding: 1 });
  /** Channels of the feature levels. */
  readonly #channels: readonly number[];

  constructor(options: ResNetOptions) {
    super();
    const { width = 64, frozenStages, lastStage = 5 } = options;
    this.conv1 = conv(3, width, 7, { stride: 2 });
    this.bn1 = makeNorm(options, width);
    this.layer1 = resNetStage(options, 2);
    this.layer2 = resNetStage(options, 3);
    this.layer3 = resNetStage(options, 4);
    if (lastStage === 5) this.layer4 = resNetStage(options, 5);
    this.#channels = ([2, 3, 4, 5] as const)
      .filter((stage) => stage <= lastStage)
      .map((stage) => stageChannels(options, stage));
    const stem = [this.conv1, this.bn1];
    for (const part of [stem, this.layer1, this.layer2, this.layer3, this.layer4 ?? []].slice(0, frozenStages).flat())
      part.freeze();
  }

  /** Channels of the levels that forward() gives. */
  get outChannels(): readonly number[] {
    return this.#channels;
  }

  /** [N, 3, H, W] -> the outputs of the stages, strides 4, 8, 16 and, where it is built, 32. */
  forward(pixels: Tensor): Features {
    const stem = scope(() => this.#maxPool.forward(ops.relu_(convNorm(pixels, this.conv1, this.bn1))));
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
