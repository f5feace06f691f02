// Bidirectional feature pyramid with learned weights (Tan et al., EfficientDet: Scalable and Efficient Object Detection, 2020,
// section 3).
import { Conv2d, Module, ones, ops, Parameter, scope, type Tensor } from '@goshawk/torch';
import { activate } from '../activations.js';
import {
  ConvNorm,
  convThenNorm,
  makeConv,
  makeNorm,
  type Norm,
  type NormOptions,
} from '../backbones/conv-norm-layers.js';
import type { Features } from '../structures.js';
import type { Neck } from './neck.js';
import { initialised } from './neck-layers.js';

export interface BiFpnOptions {
  /** Of the levels that come in, finest first. */
  readonly inChannels: readonly number[];
  /** Network pixels a cell of each of them. Default 4, 8, 16, ... */
  readonly strides?: readonly number[];
  readonly channels: number;
  /** Coarser levels, made of the backbone's last one before anything is fused. */
  readonly extraLevels: number;
  /** How often the levels are fused, each time with weights of its own. */
  readonly repeats: number;
  readonly norm: NormOptions;
}

/** Against division by zero where no weight is positive (section 3.3). */
const EPSILON = 1e-4;

/**
 * Several maps of one resolution as one: sum(w * map) / (sum(w) + epsilon) with w = relu(weight), the paper's fast normalised fusion;
 * then a depthwise 3x3 and a 1x1 convolution, a norm and swish.
 */
export class Fusion extends Module {
  readonly weight: Parameter;
  readonly depthwise: Conv2d;
  readonly pointwise: Conv2d;
  readonly bn: Norm;

  constructor(inputs: number, channels: number, norm: NormOptions) {
    super();
    this.weight = new Parameter(ones([inputs]));
    this.depthwise = initialised(new Conv2d(channels, channels, 3, { padding: 1, groups: channels, bias: false }));
    this.pointwise = makeConv(channels, channels, 1);
    this.bn = makeNorm(norm, channels);
  }

  forward(maps: Features): Tensor {
    return scope(() => {
      const positive = ops.relu(this.weight);
      const shares = ops.unbind(ops.div(positive, ops.add(ops.sum(positive), EPSILON)));
      const [first, ...others] = maps;
      const fused = others.reduce((sum, map, i) => ops.addcmul_(sum, map, shares[i + 1]!), ops.mul(first!, shares[0]!));
      return activate(convThenNorm(this.depthwise.forward(fused), this.pointwise, this.bn), 'silu');
    });
  }
}

/**
 * One pass down and one up (figure 2d). Down from the coarsest level but one, each level is fused with the one above; up, each is
 * fused with what came in, what the pass down made of it, and the new level below. The finest level has one fusion, of the pass
 * down, and the coarsest one, of the pass up: a node with a single input would add nothing.
 */
class BiFpnCell extends Module {
  /** Of each level but the coarsest, finest first. */
  readonly down: Fusion[];
  /** Of each level but the finest, finest first. */
  readonly up: Fusion[];

  constructor(levels: number, channels: number, norm: NormOptions) {
    super();
    this.down = Array.from({ length: levels - 1 }, () => new Fusion(2, channels, norm));
    this.up = Array.from({ length: levels - 1 }, (_, i) => new Fusion(i + 1 < levels - 1 ? 3 : 2, channels, norm));
  }

  forward(levels: Features): Features {
    const between: Tensor[] = [levels.at(-1)!];
    for (let level = levels.length - 2; level >= 0; level--)
      between.unshift(this.down[level]!.forward([levels[level]!, resized(between[0]!, levels[level]!)]));
    const outputs: Tensor[] = [between[0]!];
    for (let level = 1; level < levels.length; level++) {
      const below = resized(outputs.at(-1)!, levels[level]!);
      const own = level < levels.length - 1 ? [levels[level]!, between[level]!] : [levels[level]!];
      outputs.push(this.up[level - 1]!.forward([...own, below]));
    }
    return outputs;
  }
}

export class BiFpn extends Module implements Neck {
  /** 1x1 convolutions to `channels`, of each level that comes in and, where there are extra levels, of the first of those. */
  readonly lateral: ConvNorm[];
  readonly cells: BiFpnCell[];
  readonly channels: number;
  readonly strides: readonly number[];
  readonly roiLevels: number;
  readonly #extraLevels: number;

  constructor({ inChannels, strides, channels, extraLevels, repeats, norm }: BiFpnOptions) {
    super();
    const own = strides ?? inChannels.map((_, level) => 4 * 2 ** level);
    const reduced = extraLevels > 0 ? [...inChannels, inChannels.at(-1)!] : inChannels;
    this.lateral = reduced.map((count) => new ConvNorm(count, channels, { norm }));
    const levels = inChannels.length + extraLevels;
    this.cells = Array.from({ length: repeats }, () => new BiFpnCell(levels, channels, norm));
    this.channels = channels;
    this.roiLevels = inChannels.length;
    this.strides = [...own, ...Array.from({ length: extraLevels }, (_, i) => own.at(-1)! * 2 ** (i + 1))];
    this.#extraLevels = extraLevels;
  }

  forward(features: Features): Features {
    const levels = features.map((map, level) => this.lateral[level]!.call(map));
    for (let extra = 0; extra < this.#extraLevels; extra++)
      levels.push(halved(extra === 0 ? this.lateral.at(-1)!.call(features.at(-1)!) : levels.at(-1)!));
    return this.cells.reduce<Features>((maps, cell) => cell.forward(maps), levels);
  }
}

/** To the resolution of another map: the nearest cell upwards, the maximum of 3x3 cells downwards. */
function resized(map: Tensor, { shape: [, , height = 0, width = 0] }: Tensor): Tensor {
  if (map.size(2) < height || map.size(3) < width) return ops.upsample_nearest2d(map, [height, width]);
  let smaller = map;
  while (smaller.size(2) > height || smaller.size(3) > width) smaller = halved(smaller);
  return smaller;
}

/** Sides rounded up. */
function halved(map: Tensor): Tensor {
  return ops.max_pool2d(map, [3, 3], { stride: [2, 2], padding: [1, 1] });
}
