// RoIAlign, on one level and on a pyramid, its gradient, and RoIPool.
import { type DType, type Tensor, tensor, zeros } from '@goshawk/torch';
import { FLOATS, type KernelCase, LAYOUTS, run } from './kernel-case.js';
import type { Draw } from './kernel-draw.js';

/** Rows that are not boxes as one expects them: inverted, empty, outside, not finite. */
function oddRois(): Tensor {
  const rows = [
    [0, 10, 10, 5, 5],
    [0, 7, 7, 7, 7],
    [1, -50, -50, -20, -20],
    [1, 500, 500, 600, 600],
    [0, -10, -10, 300, 300],
    [0, Number.NaN, 0, 10, 10],
    [1, 0, 0, Number.POSITIVE_INFINITY, 10],
    [1, 0.5, 0.5, 0.75, 0.75],
  ];
  return tensor(Float32Array.from(rows.flat()), { shape: [rows.length, 5] });
}

export const roiAlign: KernelCase[] = [
  ...FLOATS.flatMap((dtype) =>
    LAYOUTS.flatMap((memoryFormat) =>
      [false, true].map(
        (aligned): KernelCase => ({
          name: `${dtype}, ${memoryFormat}, aligned ${aligned}`,
          inputs: (draw) => [draw.values([2, 20, 24, 31], { dtype }).to({ memoryFormat }), draw.rois(37, 2)],
          compute: (input, rois) => run('roi_align', input!, rois!, 0.125, 7, 5, aligned ? 0 : 2, aligned),
          differentiate: [0],
        }),
      ),
    ),
  ),
  ...[1, 3, 67].map(
    (channels): KernelCase => ({
      name: `${channels} channels`,
      inputs: (draw) => [draw.values([1, channels, 13, 17]), draw.rois(9, 1)],
      compute: (input, rois) => run('roi_align', input!, rois!, 0.0625, 14, 14, 0, false),
      differentiate: [0],
    }),
  ),
  {
    name: 'odd boxes',
    inputs: (draw) => [draw.values([2, 8, 16, 16]), oddRois()],
    compute: (input, rois) => run('roi_align', input!, rois!, 0.25, 7, 7, 2, false),
    differentiate: [0],
  },
  {
    name: 'odd boxes, aligned, as many samples as pixels',
    inputs: (draw) => [draw.values([2, 8, 16, 16]), oddRois()],
    compute: (input, rois) => run('roi_align', input!, rois!, 0.25, 7, 7, 0, true),
  },
  {
    name: 'no RoIs',
    inputs: (draw) => [draw.values([2, 8, 16, 16]), zeros([0, 5])],
    compute: (input, rois) => run('roi_align', input!, rois!, 0.25, 7, 7, 2, false),
    differentiate: [0],
  },
  {
    name: 'bytes',
    inputs: (draw) => [draw.values([1, 3, 40, 30], { low: 0, high: 255 }).to({ dtype: 'uint8' }), draw.rois(11, 1)],
    compute: (input, rois) => run('roi_align', input!, rois!, 0.2, 5, 5, 0, true),
  },
];

const PYRAMID = [32, 16, 8, 4];

function pyramid(draw: Draw, dtype: DType, channels: number): Tensor[] {
  return PYRAMID.map((side) =>
    draw.values([2, channels, side, side + 3], { dtype }).to({ memoryFormat: 'channels_last' }),
  );
}

function alignPyramid(bins: number, samples = 2) {
  return (rois: Tensor, levels: Tensor, ...maps: Tensor[]) => {
    const scales = maps.map((_, level) => 1 / (4 * 2 ** level));
    return run('roi_align_multilevel', maps, rois, levels, scales, bins, bins, samples, false);
  };
}

export const roiAlignMultilevel: KernelCase[] = [
  ...FLOATS.flatMap((dtype) =>
    [7, 14].map(
      (bins): KernelCase => ({
        name: `${dtype}, ${bins}x${bins}`,
        inputs: (draw) => [draw.rois(60, 2, { size: 128 }), draw.integers([60], 4), ...pyramid(draw, dtype, 24)],
        compute: alignPyramid(bins),
        differentiate: [2, 3, 4, 5],
      }),
    ),
  ),
  {
    name: 'levels without RoIs',
    inputs: (draw) => [draw.rois(20, 2, { size: 128 }), draw.integers([20], 1, 2), ...pyramid(draw, 'float32', 16)],
    compute: alignPyramid(7, 0),
    differentiate: [2, 3, 4, 5],
  },
  {
    name: 'no RoIs',
    inputs: (draw) => [zeros([0, 5]), draw.integers([0], 1), ...pyramid(draw, 'float32', 16)],
    compute: alignPyramid(7),
    differentiate: [2, 3, 4, 5],
  },
  {
    name: 'many RoIs on one place',
    inputs: (draw) => {
      const row = draw.rois(1, 1, { size: 64 });
      return [row.expand([500, 5]).contiguous(), draw.integers([500], 1), ...pyramid(draw, 'float32', 8)];
    },
    compute: alignPyramid(7),
    differentiate: [2],
    tolerance: 1e-4,
  },
];

export const roiAlignBackward: KernelCase[] = FLOATS.flatMap((dtype) =>
  [true, false].map(
    (channelsLast): KernelCase => ({
      name: `${dtype}, ${channelsLast ? 'channels_last' : 'contiguous'}`,
      inputs: (draw) => [
        draw.values([25, 12, 7, 7], { dtype }),
        draw.rois(25, 2, { size: 128 }),
        draw.integers([25], 2),
      ],
      compute: (gradient, rois, levels) =>
        run(
          ...([
            'roi_align_backward',
            gradient!,
            rois!,
            levels!,
            [2, 12, 32, 32, 2, 12, 16, 16],
            [0.25, 0.125],
          ] as const),
          ...([2, false, channelsLast] as const),
        ),
      // Its own gradient is RoIAlign again.
      differentiate: [0],
    }),
  ),
);

export const roiPool: KernelCase[] = [
  ...FLOATS.map(
    (dtype): KernelCase => ({
      name: dtype,
      inputs: (draw) => [draw.values([2, 20, 24, 31], { dtype }), draw.rois(37, 2)],
      compute: (input, rois) => run('roi_pool', input!, rois!, 0.125, 7, 5),
      differentiate: [0],
    }),
  ),
  {
    name: 'channels_last',
    inputs: (draw) => [draw.values([2, 20, 24, 31]).to({ memoryFormat: 'channels_last' }), draw.rois(37, 2)],
    compute: (input, rois) => run('roi_pool', input!, rois!, 0.125, 7, 5),
    differentiate: [0],
  },
  {
    name: 'equal values: the first counts',
    inputs: (draw) => [draw.integers([1, 4, 20, 20], 3).to({ dtype: 'float32' }), draw.rois(20, 1, { size: 160 })],
    compute: (input, rois) => run('roi_pool', input!, rois!, 0.125, 3, 3),
    differentiate: [0],
  },
  {
    name: 'boxes outside of the map',
    inputs: (draw) => [draw.values([2, 3, 16, 16]), oddRois().narrow(0, 2, 3).contiguous()],
    compute: (input, rois) => run('roi_pool', input!, rois!, 0.25, 7, 7),
    differentiate: [0],
  },
  {
    name: 'no RoIs',
    inputs: (draw) => [draw.values([1, 3, 16, 16]), zeros([0, 5])],
    compute: (input, rois) => run('roi_pool', input!, rois!, 0.25, 7, 7),
  },
];
