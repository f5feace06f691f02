// ResNet ("Deep Residual Learning", He et al. 2015) with torchvision's names and its stride in the 3x3 convolution.
import {
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
export type NormKind = 'frozen_batch' | 'batch' | 'group';

export interface ResNetOptions {
  readonly depth: ResNetDepth;
  /** Channels of the stem and of the first stage's 3x3 convolutions; 64 in the paper. */
  readonly width?: number;
  readonly norm: NormKind;
  /** How many of (stem, stage 1, ... stage 4) take no gradient; 2 when fine-tuning by custom. */
  readonly frozenStages: number;
}

type Norm = BatchNorm2d | FrozenBatchNorm2d | GroupNorm;

const STAGE_BLOCKS: Readonly<Record<ResNetDepth, readonly [number, number, number, number]>> = {
  18: [2, 2, 2, 2],
  34: [3, 4, 6, 3],
  50: [3, 4, 6, 3],
  101: [3, 4, 23, 3],
  152: [3, 8, 36, 3],
};

function makeNorm(kind: NormKind, channels: number): Norm {
  switch (kind) {
    case 'frozen_batch':
      return new FrozenBatchNorm2d(channels);
    case 'batch':
      return new BatchNorm2d(channels);
    case 'group':
      return new GroupNorm(Math.min(32, channels), channels);
  }
}

/** A convolution and its norm; a frozen norm disappears into the convolution's weight. */
function convNorm(input: Tensor, conv: Conv2d, norm: Norm): Tensor {
  return norm instanceof FrozenBatchNorm2d ? convFrozenNorm(input, conv, norm) : norm.forward(conv.forward(input));
}

function conv(inChannels: number, outChannels: number, kernel: number, stride = 1): Conv2d {
  const made = new Conv2d(inChannels, outChannels, kernel, { stride, padding: (kernel - 1) / 2, bias: false });
  // He et al. 2015 (rectifiers), over the outputs: as torchvision starts its ResNets.
  init.kaimingNormal(made.weight, { mode: 'fan_out', nonlinearity: 'relu' });
  return made;
}

class Downsample extends Sequential {
  readonly #conv: Conv2d;
  readonly #norm: Norm;

  constructor(inChannels: number, outChannels: number, stride: number, kind: NormKind) {
    const projection = conv(inChannels, outChannels, 1, stride);
    const norm = makeNorm(kind, outChannels);
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

  constructor(inChannels: number, width: number, stride: number, kind: NormKind) {
    super();
    this.conv1 = conv(inChannels, width, 3, stride);
    this.bn1 = makeNorm(kind, width);
    this.conv2 = conv(width, width, 3);
    this.bn2 = makeNorm(kind, width);
    if (stride !== 1 || inChannels !== width) this.downsample = new Downsample(inChannels, width, stride, kind);
  }

  override forward(input: Tensor): Tensor {
    const hidden = ops.relu_(convNorm(input, this.conv1, this.bn1));
    const output = convNorm(hidden, this.conv2, this.bn2);
    return ops.relu_(ops.add_(output, this.downsample ? this.downsample.forward(input) : input));
  }
}

/** 1x1, 3x3 and 1x1 convolutions beside the identity; four times as many channels come out. */
class Bottleneck extends Layer {
  readonly conv1: Conv2d;
  readonly bn1: Norm;
  readonly conv2: Conv2d;
  readonly bn2: Norm;
  readonly conv3: Conv2d;
  readonly bn3: Norm;
  readonly downsample?: Downsample;

  constructor(inChannels: number, width: number, stride: number, kind: NormKind) {
    super();
    this.conv1 = conv(inChannels, width, 1);
    this.bn1 = makeNorm(kind, width);
    this.conv2 = conv(width, width, 3, stride);
    this.bn2 = makeNorm(kind, width);
    this.conv3 = conv(width, width * 4, 1);
    this.bn3 = makeNorm(kind, width * 4);
    if (stride !== 1 || inChannels !== width * 4) this.downsample = new Downsample(inChannels, width * 4, stride, kind);
  }

  override forward(input: Tensor): Tensor {
    let hidden = ops.relu_(convNorm(input, this.conv1, this.bn1));
    hidden = ops.relu_(convNorm(hidden, this.conv2, this.bn2));
    const output = convNorm(hidden, this.conv3, this.bn3);
    return ops.relu_(ops.add_(output, this.downsample ? this.downsample.forward(input) : input));
  }
}

export class ResNet extends Module {
  readonly conv1: Conv2d;
  readonly bn1: Norm;
  readonly layer1: Sequential;
  readonly layer2: Sequential;
  readonly layer3: Sequential;
  readonly layer4: Sequential;
  readonly #maxPool = new MaxPool2d(3, { stride: 2, padding: 1 });
  /** Channels of the four feature levels. */
  readonly #channels: readonly number[];

  constructor({ depth, width = 64, norm, frozenStages }: ResNetOptions) {
    super();
    this.conv1 = conv(3, width, 7, 2);
    this.bn1 = makeNorm(norm, width);
    const bottleneck = depth >= 50;
    const expansion = bottleneck ? 4 : 1;
    let channels = width;
    const stage = (index: 0 | 1 | 2 | 3): Sequential => {
      const stageWidth = width * 2 ** index;
      const blocks: Layer[] = [];
      for (let block = 0; block < STAGE_BLOCKS[depth][index]; block++) {
        const stride = block === 0 && index > 0 ? 2 : 1;
        blocks.push(
          bottleneck
            ? new Bottleneck(channels, stageWidth, stride, norm)
            : new BasicBlock(channels, stageWidth, stride, norm),
        );
        channels = stageWidth * expansion;
      }
      return new Sequential(...blocks);
    };
    this.layer1 = stage(0);
    this.layer2 = stage(1);
    this.layer3 = stage(2);
    this.layer4 = stage(3);
    this.#channels = [0, 1, 2, 3].map((index) => width * 2 ** index * expansion);
    for (const frozen of [[this.conv1, this.bn1], [this.layer1], [this.layer2], [this.layer3], [this.layer4]].slice(
      0,
      frozenStages,
    )) {
      for (const part of frozen) part.freeze();
    }
  }

  /** Channels of the levels that forward() gives. */
  get outChannels(): readonly number[] {
    return this.#channels;
  }

  /** [N, 3, H, W] -> the outputs of the four stages, strides 4, 8, 16, 32. */
  forward(pixels: Tensor): Features {
    const stem = scope(() => this.#maxPool.forward(ops.relu_(convNorm(pixels, this.conv1, this.bn1))));
    const features: Tensor[] = [];
    let hidden = stem;
    for (const stage of [this.layer1, this.layer2, this.layer3, this.layer4]) {
      hidden = stage.call(hidden);
      features.push(hidden);
    }
    return features;
  }
}
