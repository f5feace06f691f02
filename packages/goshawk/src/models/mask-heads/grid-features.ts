// What SOLO's heads are made of (Wang et al. 2019, 2020): convolutions with group norm, coordinate channels, and the levels of a
// pyramid as grids.
import { Conv2d, convNormRelu, GroupNorm, init, ops, Sequential, type Tensor } from '@goshawk/torch';
import type { Features, HeightWidth } from '../structures.js';

// The number of SOLO's configs, and of the group norm paper (Wu and He 2018).
const NORM_GROUPS = 32;

/** A convolution without bias, a group norm and a ReLU; names `0` and `1`. */
export class NormedConv extends Sequential {
  readonly #conv: Conv2d;
  readonly #norm: GroupNorm;

  constructor(inChannels: number, outChannels: number, kernel: 1 | 3 = 3) {
    const conv = initialised(new Conv2d(inChannels, outChannels, kernel, { padding: (kernel - 1) / 2, bias: false }));
    const norm = new GroupNorm(NORM_GROUPS, outChannels);
    super(conv, norm);
    this.#conv = conv;
    this.#norm = norm;
  }

  override forward(input: Tensor): Tensor {
    return convNormRelu(input, this.#conv, this.#norm, { relu: true });
  }
}

/** `count` of them one after another. */
export function normedConvs(count: number, inChannels: number, channels: number): NormedConv[] {
  return Array.from({ length: count }, (_, i) => new NormedConv(i === 0 ? inChannels : channels, channels));
}

export function runConvs(convs: readonly NormedConv[], input: Tensor): Tensor {
  return convs.reduce((hidden, conv) => {
    const output = conv.call(hidden);
    if (hidden !== input) hidden.dispose();
    return output;
  }, input);
}

/** A 3x3 convolution that ends in numbers that are read as they are. */
export function outputConv(inChannels: number, outputs: number): Conv2d {
  return initialised(new Conv2d(inChannels, outputs, 3, { padding: 1 }));
}

function initialised(conv: Conv2d): Conv2d {
  init.normal(conv.weight, { std: 0.01 });
  if (conv.bias) init.constant(conv.bias, 0);
  return conv;
}

/** Bilinear, pixel centres at halves (align_corners false), not smoothed. */
export function resized(map: Tensor, [height, width]: HeightWidth): Tensor {
  if (map.size(2) === height && map.size(3) === width) return map;
  return ops.upsample_bilinear2d(map, [height, width], false);
}

/** [N, 2, H, W]: x, then y, from -1 at the first cell to 1 at the last, as CoordConv has them (Liu et al. 2018). */
export function coordinatesOf(map: Tensor): Tensor {
  const [images = 0, , height = 0, width = 0] = map.shape;
  // Made where the map is; without a card that needs no word, and shapes alone (shapes-alone.ts) can have none.
  const place = map.device.startsWith('cuda') ? { device: map.device } : {};
  const along = (cells: number): Tensor => ops.linspace(-1, 1, cells, place);
  const shape = [images, 1, height, width];
  const x = ops.expand(ops.view(along(width), [1, 1, 1, width]), shape);
  const y = ops.expand(ops.view(along(height), [1, 1, height, 1]), shape);
  return ops.cat([x, y], { dim: 1 }).to({ dtype: map.dtype, memoryFormat: 'channels_last' });
}

/** [N, C, H, W] -> [N, C + 2, H, W]. */
export function withCoordinates(map: Tensor): Tensor {
  return ops.cat([map, coordinatesOf(map)], { dim: 1 });
}

/**
 * The levels that the grids are laid over: the finest at half its resolution, the coarsest at that of the one before it.
 * Neither is needed as it is: the grid of the one is coarse, and the objects of the other are large.
 */
export function gridLevels(features: Features): Tensor[] {
  const last = features.length - 1;
  return features.map((map, level) => {
    if (level === 0) return resized(map, [Math.max(1, map.size(2) >> 1), Math.max(1, map.size(3) >> 1)]);
    if (level !== last) return map;
    const finer = features[level - 1]!;
    return resized(map, [finer.size(2), finer.size(3)]);
  });
}

/** Network pixels a cell of each of {@link gridLevels}. */
export function gridStrides(strides: readonly number[]): number[] {
  const last = strides.length - 1;
  return strides.map((stride, level) => (level === 0 ? stride * 2 : level === last ? strides[level - 1]! : stride));
}
