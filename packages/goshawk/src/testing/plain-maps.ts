// Feature maps and what is done to them written plainly in double precision, for tests that hold necks against their papers.
import { type Module, noGrad, ops, rand, randn, type Tensor, tensor } from '@goshawk/torch';

/** One image's map of one level; values by channel, row, column. */
export interface PlainMap {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly values: Float64Array;
}

function mapOf(
  [channels, height, width]: readonly [number, number, number],
  value: (channel: number, row: number, column: number) => number,
): PlainMap {
  const values = new Float64Array(channels * height * width);
  for (let c = 0, at = 0; c < channels; c++)
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) values[at++] = value(c, y, x);
  return { channels, height, width, values };
}

/** 0 outside of the map. */
function at({ height, width, values }: PlainMap, channel: number, row: number, column: number): number {
  if (row < 0 || column < 0 || row >= height || column >= width) return 0;
  return values[(channel * height + row) * width + column]!;
}

const shapeOf = ({ channels, height, width }: PlainMap) => [channels, height, width] as const;

/** [1, C, H, W] -> a map. */
export function plain(map: Tensor): PlainMap {
  const [, channels = 0, height = 0, width = 0] = map.shape;
  return { channels, height, width, values: Float64Array.from(map.detach().contiguous().toNumbers()) };
}

export function asTensor({ channels, height, width, values }: PlainMap): Tensor {
  return tensor(values, { dtype: 'float64', shape: [1, channels, height, width] });
}

/** One map from several of one shape, value by value. */
export function valueByValue(maps: readonly PlainMap[], of: (...values: number[]) => number): PlainMap {
  const values = maps[0]!.values.map((_, i) => of(...maps.map((map) => map.values[i]!)));
  return { ...maps[0]!, values };
}

/** The tensors of a module's state by name, as numbers. */
export type PlainState = (name: string) => number[];

export function plainState(module: Module): PlainState {
  const state = module.stateDict();
  return (name) => state.get(name)?.toNumbers() ?? raise(name);
}

function raise(name: string): never {
  throw new Error(`internal: no tensor ${name}`);
}

/** With zeros beyond the border; the sides are those of the input over the stride, rounded up. */
export function convolved(
  map: PlainMap,
  weight: readonly number[],
  {
    kernel,
    stride = 1,
    isDepthwise = false,
    bias = [],
  }: { kernel: number; stride?: number; isDepthwise?: boolean; bias?: readonly number[] },
): PlainMap {
  const inputs = isDepthwise ? 1 : map.channels;
  const channels = weight.length / (inputs * kernel * kernel);
  const sides = [map.height, map.width].map((side) => Math.ceil(side / stride)) as [number, number];
  return mapOf([channels, ...sides], (out, y, x) => {
    let sum = bias[out] ?? 0;
    for (let i = 0; i < inputs; i++)
      for (let v = 0; v < kernel; v++)
        for (let u = 0; u < kernel; u++)
          sum +=
            weight[((out * inputs + i) * kernel + v) * kernel + u]! *
            at(map, isDepthwise ? out : i, y * stride + v - (kernel - 1) / 2, x * stride + u - (kernel - 1) / 2);
    return sum;
  });
}

/** By the running mean and variance under `name`. */
export function normalised(map: PlainMap, state: PlainState, name: string, eps: number): PlainMap {
  const [weight, bias, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((leaf) =>
    state(`${name}.${leaf}`),
  ) as [number[], number[], number[], number[]];
  return mapOf(
    shapeOf(map),
    (c, y, x) => ((at(map, c, y, x) - mean[c]!) / Math.sqrt(variance[c]! + eps)) * weight[c]! + bias[c]!,
  );
}

/** Every cell takes the value of the cell of the smaller map that it lies in. */
export function enlarged(map: PlainMap, { height, width }: PlainMap): PlainMap {
  return mapOf([map.channels, height, width], (c, y, x) =>
    at(map, c, Math.floor((y * map.height) / height), Math.floor((x * map.width) / width)),
  );
}

/** The largest of 3x3 cells around every second one. */
export function pooledByTwo(map: PlainMap): PlainMap {
  return mapOf([map.channels, Math.ceil(map.height / 2), Math.ceil(map.width / 2)], (c, y, x) => {
    let best = -Infinity;
    for (let row = Math.max(0, 2 * y - 1); row <= Math.min(map.height - 1, 2 * y + 1); row++)
      for (let column = Math.max(0, 2 * x - 1); column <= Math.min(map.width - 1, 2 * x + 1); column++)
        best = Math.max(best, at(map, c, row, column));
    return best;
  });
}

/** A module in double precision whose parameters and statistics are all drawn: nothing stands at 0 or 1 by chance. */
export function drawnInDouble<M extends Module>(module: M): M {
  module.to({ dtype: 'float64' });
  noGrad(() => {
    for (const [name, value] of module.stateDict()) {
      if (name.endsWith('num_batches_tracked')) continue;
      const drawn = name.endsWith('running_var') ? ops.add(rand(value.shape), 0.5) : ops.mul(randn(value.shape), 0.5);
      value.assign(drawn);
    }
  });
  return module;
}

/** Maps of noise for each level, [1, channels, height, width] in double precision. */
export function noiseLevels(channels: readonly number[], sides: readonly (readonly [number, number])[]): Tensor[] {
  return channels.map((count, i) => randn([1, count, ...sides[i]!]).to('float64'));
}
