// What each operator of ours is tried on: made on the CPU, computed there and on the card, and compared. An operator is a row
// of KERNELS with its cases.
import { createRandom, type Random } from '@goshawk/core';
import {
  Adam,
  AdamW,
  callOp,
  type DType,
  type OpArgument,
  Parameter,
  SGD,
  type Tensor,
  tensor,
  zeros,
} from '@goshawk/torch';

export interface KernelCase {
  readonly name: string;
  /** On the CPU. */
  readonly inputs: (random: Draw) => Tensor[];
  /** Of the inputs, wherever they lie. */
  readonly compute: (...inputs: Tensor[]) => Tensor[];
  /** Inputs to which the first result's gradient is compared too. */
  readonly differentiate?: readonly number[];
  /** Whether their memory format is the engine's affair. */
  readonly anyGradientLayout?: boolean;
  /** Instead of what a result's dtype allows: for all that are no integers, or by dtype. */
  readonly tolerance?: number | Partial<Record<DType, number>>;
}

/** Of the engine's own group norm on a card, whose weight and bias, and their gradients, are bfloat16 where its input is. */
const ROUNDED_PARAMETERS = { float32: 2 ** -8 };

export interface Kernel {
  readonly operator: string;
  readonly cases: readonly KernelCase[];
}

/** Random tensors of a case. */
export class Draw {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = createRandom(seed, 9);
  }

  number(low: number, high: number): number {
    return low + (high - low) * this.#random.uniform();
  }

  integer(below: number): number {
    return this.#random.integer(below);
  }

  /** Uniform within low..high. */
  values(shape: readonly number[], { low = -1, high = 1, dtype = 'float32' as DType } = {}): Tensor {
    const count = shape.reduce((product, side) => product * side, 1);
    const data = Float32Array.from({ length: count }, () => this.number(low, high));
    return tensor(data, { shape }).to({ dtype });
  }

  integers(shape: readonly number[], below: number, from = 0): Tensor {
    const count = shape.reduce((product, side) => product * side, 1);
    return tensor(
      BigInt64Array.from({ length: count }, () => BigInt(from + this.integer(below))),
      { shape },
    );
  }

  /** [count, 4] xyxy inside a picture; whole numbers where `whole`, which makes ties. */
  boxes(count: number, { size = 200, least = 4, most = 80, whole = false, dtype = 'float32' as DType } = {}): Tensor {
    const round = (value: number): number => (whole ? Math.round(value) : value);
    const rows = Array.from({ length: count }, () => {
      const [width, height] = [this.number(least, most), this.number(least, most)];
      const [x, y] = [this.number(0, size - width), this.number(0, size - height)];
      return [x, y, x + width, y + height].map(round);
    });
    return tensor(Float32Array.from(rows.flat()), { shape: [count, 4] }).to({ dtype });
  }

  /** [count, 5] batch index and box. */
  rois(count: number, images: number, options: { size?: number; dtype?: DType } = {}): Tensor {
    const boxes = this.boxes(count, options).to({ dtype: 'float32' }).toNumbers();
    const rows = Array.from({ length: count }, (_, i) => [i % images, ...boxes.slice(4 * i, 4 * i + 4)]);
    return tensor(Float32Array.from(rows.flat()), { shape: [count, 5] }).to({ dtype: options.dtype ?? 'float32' });
  }
}

/** A call of one operator by name; all of its results. */
function run(name: string, ...args: OpArgument[]): Tensor[] {
  const result = callOp(`goshawk::${name}`, ...args);
  return (Array.isArray(result) ? result : [result]).flat() as Tensor[];
}

const FLOATS: readonly DType[] = ['float32', 'float16', 'bfloat16', 'float64'];
const LAYOUTS = ['contiguous_format', 'channels_last'] as const;

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

const roiAlign: KernelCase[] = [
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

const roiAlignMultilevel: KernelCase[] = [
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

const roiAlignBackward: KernelCase[] = FLOATS.flatMap((dtype) =>
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

const roiPool: KernelCase[] = [
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

/** Suppression by both rules on both kinds of boxes. */
const RULES = [false, true].flatMap((plusOne) => [false, true].map((suppressEqual) => ({ plusOne, suppressEqual })));

const nms: KernelCase[] = [
  ...RULES.flatMap(({ plusOne, suppressEqual }) =>
    [1, 63, 64, 65, 1000, 4741].map(
      (count): KernelCase => ({
        name: `${count} boxes${plusOne ? ', +1' : ''}${suppressEqual ? ', equal too' : ''}`,
        inputs: (draw) => [draw.boxes(count), draw.values([count], { low: 0 })],
        compute: (boxes, scores) => run('nms', boxes!, scores!, 0.5, plusOne, suppressEqual),
      }),
    ),
  ),
  ...RULES.map(
    ({ plusOne, suppressEqual }): KernelCase => ({
      name: `ties of scores and overlaps${plusOne ? ', +1' : ''}${suppressEqual ? ', equal too' : ''}`,
      inputs: (draw) => [
        draw.boxes(600, { size: 24, least: 2, most: 8, whole: true }),
        draw.integers([600], 5).to({ dtype: 'float32' }),
      ],
      compute: (boxes, scores) => run('nms', boxes!, scores!, 0.5, plusOne, suppressEqual),
    }),
  ),
  {
    name: 'float64',
    inputs: (draw) => [draw.boxes(300, { dtype: 'float64' }), draw.values([300], { dtype: 'float64' })],
    compute: (boxes, scores) => run('nms', boxes!, scores!, 0.3),
  },
  {
    name: 'no boxes',
    inputs: () => [zeros([0, 4]), zeros([0])],
    compute: (boxes, scores) => run('nms', boxes!, scores!, 0.5),
  },
  {
    name: 'boxes and scores that are not numbers',
    inputs: () => {
      const rows = [0, 0, 9, 9, Number.NaN, 0, 9, 9, 0, 0, 9, 8, 5, 5, 4, 4, 0, 0, Number.POSITIVE_INFINITY, 9];
      return [tensor(rows, { shape: [5, 4] }), tensor([0.5, 0.9, Number.NaN, 0.4, 0.6])];
    },
    compute: (boxes, scores) => run('nms', boxes!, scores!, 0.5),
  },
];

const batchedNms: KernelCase[] = [
  ...RULES.flatMap(({ plusOne, suppressEqual }) =>
    [
      [1000, 5],
      [4741, 5],
      [2500, 80],
      [300, 1],
    ].map(
      ([count = 0, groups = 1]): KernelCase => ({
        name: `${count} boxes in ${groups} groups${plusOne ? ', +1' : ''}${suppressEqual ? ', equal too' : ''}`,
        inputs: (draw) => [draw.boxes(count), draw.values([count], { low: 0 }), draw.integers([count], groups)],
        compute: (boxes, scores, groupOf) => run('batched_nms', boxes!, scores!, groupOf!, 0.6, plusOne, suppressEqual),
      }),
    ),
  ),
  {
    name: 'ties',
    inputs: (draw) => [
      draw.boxes(900, { size: 24, least: 2, most: 8, whole: true }),
      draw.integers([900], 3).to({ dtype: 'float32' }),
      draw.integers([900], 4, -2),
    ],
    compute: (boxes, scores, groups) => run('batched_nms', boxes!, scores!, groups!, 0.5),
  },
  {
    name: 'no boxes',
    inputs: (draw) => [zeros([0, 4]), zeros([0]), draw.integers([0], 1)],
    compute: (boxes, scores, groups) => run('batched_nms', boxes!, scores!, groups!, 0.5),
  },
];

const boxIou: KernelCase[] = [
  ...[false, true].flatMap((plusOne) =>
    (['float32', 'float64'] as const).map(
      (dtype): KernelCase => ({
        name: `${dtype}${plusOne ? ', +1' : ''}`,
        inputs: (draw) => [draw.boxes(37, { dtype }), draw.boxes(1201, { dtype })],
        compute: (a, b) => run('box_iou', a!, b!, plusOne),
        tolerance: dtype === 'float64' ? 1e-14 : 1e-6,
      }),
    ),
  ),
  {
    name: 'empty, inverted and equal boxes',
    inputs: () => {
      const odd = tensor([5, 5, 5, 5, 9, 9, 2, 2, 0, 0, 10, 10, 5, 5, 5, 5], { shape: [4, 4] });
      return [odd, odd.clone()];
    },
    compute: (a, b) => run('box_iou', a!, b!),
  },
  { name: 'none', inputs: (draw) => [zeros([0, 4]), draw.boxes(3)], compute: (a, b) => run('box_iou', a!, b!) },
];

const FLAGS = [
  [false, false, false],
  [true, false, false],
  [true, true, false],
  [true, false, true],
  [true, true, true],
] as const;

const matchAnchors: KernelCase[] = [
  ...FLAGS.flatMap(([lowQuality, plusOne, lastClaims]) =>
    [false, true].map(
      (whole): KernelCase => ({
        name: `${whole ? 'ties, ' : ''}${lowQuality ? 'low quality too' : 'thresholds alone'}${plusOne ? ', +1' : ''}${lastClaims ? ', the last claims' : ''}`,
        inputs: (draw) => {
          const options = whole ? { size: 40, least: 4, most: 16, whole } : {};
          return [draw.boxes(13, options), draw.boxes(20_011, options)];
        },
        compute: (objects, anchors) =>
          run('match_anchors', objects!, anchors!, 0.3, 0.7, lowQuality, plusOne, lastClaims),
      }),
    ),
  ),
  {
    name: 'objects that no anchor meets',
    inputs: (draw) => [tensor([900, 900, 950, 950, 10, 10, 40, 40], { shape: [2, 4] }), draw.boxes(500)],
    compute: (objects, anchors) => run('match_anchors', objects!, anchors!, 0.3, 0.7, true),
  },
  {
    name: 'no objects',
    inputs: (draw) => [zeros([0, 4]), draw.boxes(500)],
    compute: (objects, anchors) => run('match_anchors', objects!, anchors!, 0.3, 0.7, true),
  },
  {
    name: 'no anchors',
    inputs: (draw) => [draw.boxes(5), zeros([0, 4])],
    compute: (objects, anchors) => run('match_anchors', objects!, anchors!, 0.3, 0.7, true),
  },
];

const cropMaskTargets: KernelCase[] = [14, 28].flatMap((resolution) =>
  [0, 1, 90].map(
    (count): KernelCase => ({
      name: `${count} RoIs, ${resolution}x${resolution}`,
      inputs: (draw) => {
        const sides = Array.from({ length: 6 }, () => [8 + draw.integer(50), 8 + draw.integer(50)] as const);
        let offset = 0;
        const rows = sides.map(([width, height]) => {
          const row = [offset, draw.integer(100), draw.integer(100), width, height];
          offset += width * height;
          return row;
        });
        const pixels = draw.integers([offset], 2).to({ dtype: 'uint8' });
        const crops = tensor(BigInt64Array.from(rows.flat(), BigInt), { shape: [6, 5] });
        return [pixels, crops, draw.boxes(count, { size: 170 }), draw.integers([count], 6)];
      },
      compute: (pixels, crops, rois, objects) =>
        run('crop_mask_targets', pixels!, crops!, rois!, objects!, 160, 170, resolution),
      tolerance: 1e-5,
    }),
  ),
);

const masksToRle: KernelCase[] = [
  ...[0, 1].flatMap((padding) =>
    [false, true].map(
      (strict): KernelCase => ({
        name: `padding ${padding}${strict ? ', strictly above' : ''}`,
        inputs: (draw) => [smooth(draw, 40, 28), draw.boxes(40, { size: 220, most: 160 })],
        compute: (masks, boxes) => run('masks_to_rle', masks!, boxes!, 200, 230, 0.5, strict, padding),
      }),
    ),
  ),
  {
    name: 'quarters, many of which are the threshold itself',
    inputs: (draw) => {
      const quarters = callOp('aten::round', callOp('aten::mul.Scalar', smooth(draw, 20, 28), 4) as Tensor) as Tensor;
      return [callOp('aten::div.Scalar', quarters, 4) as Tensor, draw.boxes(20, { size: 220, most: 160 })];
    },
    compute: (masks, boxes) => run('masks_to_rle', masks!, boxes!, 200, 230),
  },
  {
    name: 'boxes over the border, empty and not finite',
    inputs: (draw) => {
      const boxes = [-20, -30, 60, 70, 150, 150, 400, 260, 10, 10, 10, 10, Number.NaN, 0, 5, 5, 500, 500, 600, 600];
      return [smooth(draw, 5, 28), tensor(boxes, { shape: [5, 4] })];
    },
    compute: (masks, boxes) => run('masks_to_rle', masks!, boxes!, 200, 230),
  },
  {
    name: 'no masks',
    inputs: () => [zeros([0, 28, 28]), zeros([0, 4])],
    compute: (masks, boxes) => run('masks_to_rle', masks!, boxes!, 50, 60),
  },
];

/** Probabilities with an inside, an outside and a slope between them. */
function smooth(draw: Draw, count: number, side: number): Tensor {
  const data = new Float32Array(count * side * side);
  for (let i = 0; i < count; i++) {
    const [cx, cy, radius] = [draw.number(8, side - 8), draw.number(8, side - 8), draw.number(4, side / 2)];
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++) {
        const inside = 0.5 + (radius - Math.hypot(x - cx, y - cy)) / 4;
        data[(i * side + y) * side + x] = Math.min(1, Math.max(0, inside));
      }
  }
  return tensor(data, { shape: [count, side, side] });
}

const focalLoss: KernelCase[] = [
  ...(['float32', 'bfloat16', 'float64'] as const).flatMap((dtype): KernelCase[] => [
    {
      name: `rows, ${dtype}`,
      inputs: (draw) => [
        draw.values([2, 700, 11], { low: -8, high: 8, dtype }),
        draw.integers([2, 700], 13, -2),
        draw.values([2], { low: 0.1 }),
      ],
      compute: (logits, targets, weights) => run('sigmoid_focal_loss', logits!, targets!, weights!, 0.25, 2),
      differentiate: [0],
    },
    {
      name: `a map, ${dtype}`,
      inputs: (draw) => [
        draw.values([2, 9 * 5, 12, 10], { low: -8, high: 8, dtype }).to({ memoryFormat: 'channels_last' }),
        draw.integers([2, 12 * 10 * 9], 7, -2),
        draw.values([2], { low: 0.1 }),
      ],
      compute: (logits, targets, weights) => run('sigmoid_focal_loss', logits!, targets!, weights!, 0.4, 1.5),
      differentiate: [0],
    },
  ]),
  {
    name: 'logits far out',
    inputs: () => [
      tensor([-1000, 1000, -100, 100, 0, 30], { shape: [1, 2, 3] }),
      tensor([0, 1], { dtype: 'int64', shape: [1, 2] }),
      tensor([1]),
    ],
    compute: (logits, targets, weights) => run('sigmoid_focal_loss', logits!, targets!, weights!, 0.25, 2),
    differentiate: [0],
  },
];

const batchNorm: KernelCase[] = LAYOUTS.flatMap((memoryFormat) =>
  (['float32', 'bfloat16'] as const).flatMap((dtype) =>
    [
      [2, 24, 30, 17],
      [3, 5, 4, 4],
    ].map(
      (shape): KernelCase => ({
        name: `${shape.join('x')}, ${dtype}, ${memoryFormat}`,
        inputs: (draw) => {
          const channels = [shape[1]!];
          const input = draw.values(shape, { low: -2, high: 4, dtype }).to({ memoryFormat });
          const [weight, bias] = [draw.values(channels), draw.values(channels)];
          return [input, weight, bias, draw.values(channels), draw.values(channels, { low: 0.5, high: 2 })];
        },
        compute: (input, weight, bias, mean, variance) => {
          const running = [mean!.clone(), variance!.clone()] as const;
          return [...run('batch_norm', input!, weight!, bias!, ...running, 0.1, 1e-5), ...running];
        },
        differentiate: [0, 1, 2],
        ...(dtype === 'float32' && { tolerance: 1e-4 }),
      }),
    ),
  ),
);

/** What several processes share a batch norm by. */
const batchNormHalves: KernelCase[] = LAYOUTS.flatMap((memoryFormat) =>
  (['float32', 'bfloat16'] as const).map(
    (dtype): KernelCase => ({
      name: `${dtype}, ${memoryFormat}`,
      inputs: (draw) => {
        const map = (): Tensor => draw.values([2, 24, 30, 17], { low: -2, high: 4, dtype }).to({ memoryFormat });
        return [map(), map(), draw.values([24]), draw.values([24])];
      },
      compute: (input, gradient, weight, bias) => {
        const count = 2 * 30 * 17;
        const [statistics] = run('batch_norm_statistics', input!);
        const [sums] = run('batch_norm_gradient_sums', gradient!, input!, statistics!);
        return [
          ...run('batch_norm_apply', input!, weight!, bias!, statistics!, count, 1e-5),
          ...run('batch_norm_gradient', gradient!, input!, weight!, statistics!, sums!, count, 1e-5),
          ...[statistics!, sums!],
        ];
      },
      // Sums on a card are those of float32 values, whatever holds them.
      tolerance: dtype === 'float32' ? 1e-5 : { float64: 1e-5 },
    }),
  ),
);

const groupNorm: KernelCase[] = LAYOUTS.flatMap((memoryFormat) =>
  (['float32', 'bfloat16'] as const).map(
    (dtype): KernelCase => ({
      name: `${dtype}, ${memoryFormat}`,
      inputs: (draw) => [
        draw.values([2, 24, 30, 17], { low: -2, high: 4, dtype }).to({ memoryFormat }),
        draw.values([24]),
        draw.values([24]),
      ],
      compute: (input, weight, bias) => run('group_norm', input!, 8, weight!, bias!, 1e-5),
      differentiate: [0, 1, 2],
      anyGradientLayout: true,
      tolerance: dtype === 'float32' ? 1e-4 : ROUNDED_PARAMETERS,
    }),
  ),
);

const biasGradient: KernelCase[] = FLOATS.map((dtype) => ({
  name: dtype,
  inputs: (draw) => [
    draw.values([2, 24, 15, 17], { dtype }).to({ memoryFormat: 'channels_last' }),
    draw.values([24], { dtype }),
  ],
  // Of a tensor with a gradient of its own, as a convolution's output is.
  compute: (output, bias) => run('with_bias_gradient', callOp('aten::mul.Scalar', output!, 2) as Tensor, bias!),
  differentiate: [0, 1],
}));

/** The first so many of each image, where those that are not there count as 0. */
const nmsFirst: KernelCase[] = [
  ...RULES.flatMap(({ plusOne, suppressEqual }) =>
    [
      [1000, 300],
      [2371, 1000],
      [70, 100],
      [0, 10],
    ].map(
      ([count = 0, first = 0]): KernelCase => ({
        name: `${first} of ${count} boxes, two images${plusOne ? ', +1' : ''}${suppressEqual ? ', equal too' : ''}`,
        inputs: (draw) => [
          callOp('aten::view', draw.boxes(2 * count), [2, count, 4]) as Tensor,
          draw.values([2, count], { low: 0 }),
          draw.integers([2, count], 5),
        ],
        compute: (boxes, scores, groups) => {
          const [kept, valid] = run('nms_first', boxes!, scores!, groups!, 0.6, first, plusOne, suppressEqual);
          return [callOp('aten::mul.Tensor', kept!, valid!) as Tensor, valid!];
        },
      }),
    ),
  ),
  {
    name: 'ties',
    inputs: (draw) => [
      callOp('aten::view', draw.boxes(900, { size: 24, least: 2, most: 8, whole: true }), [1, 900, 4]) as Tensor,
      draw.integers([1, 900], 3).to({ dtype: 'float32' }),
      draw.integers([1, 900], 4),
    ],
    compute: (boxes, scores, groups) => {
      const [kept, valid] = run('nms_first', boxes!, scores!, groups!, 0.5, 200);
      return [callOp('aten::mul.Tensor', kept!, valid!) as Tensor, valid!];
    },
  },
];

const matchBatch: KernelCase[] = FLAGS.flatMap(([lowQuality, plusOne, lastClaims]) =>
  [false, true].flatMap((whole) =>
    [false, true].map(
      (some): KernelCase => ({
        name: `${whole ? 'ties, ' : ''}${some ? 'some anchors, ' : ''}${lowQuality ? 'low quality too' : 'thresholds alone'}${plusOne ? ', +1' : ''}${lastClaims ? ', the last claims' : ''}`,
        inputs: (draw) => {
          const options = whole ? { size: 40, least: 4, most: 16, whole } : {};
          const objects = callOp('aten::view', draw.boxes(27, options), [3, 9, 4]) as Tensor;
          return [objects, draw.integers([3, 9], 2), draw.boxes(5011, options), draw.integers([3, 5011], 4)];
        },
        compute: (objects, present, anchors, part) => {
          const [isPresent, takesPart] = [present!.to({ dtype: 'bool' }), some ? part!.to({ dtype: 'bool' }) : null];
          const rule = [0.3, 0.7, lowQuality, plusOne, lastClaims, 0] as const;
          return run('match_batch', objects!, isPresent, anchors!, takesPart, ...rule);
        },
      }),
    ),
  ),
);

const scaleShift: KernelCase[] = FLOATS.flatMap((dtype) =>
  LAYOUTS.flatMap((memoryFormat) =>
    [false, true].map(
      (relu): KernelCase => ({
        name: `${dtype}, ${memoryFormat}${relu ? ', ReLU' : ''}`,
        inputs: (draw) => {
          const map = (): Tensor => draw.values([2, 24, 15, 17], { dtype }).to({ memoryFormat });
          const channels = (): Tensor => draw.values([24], { dtype: dtype === 'float64' ? dtype : 'float32' });
          return [map(), channels(), channels(), map()];
        },
        compute: (input, scale, shift, residual) => [
          ...run('scale_shift', input!, scale!, shift!, residual!, relu),
          ...run('scale_shift', input!.detach(), scale!, shift!, null, relu),
        ],
        differentiate: [0, 3],
      }),
    ),
  ),
);

const gradientScale: KernelCase[] = [1, Number.POSITIVE_INFINITY, Number.NaN].map((value) => ({
  name: `a gradient of ${value}`,
  inputs: (draw) => [draw.values([4097]), tensor([1, 2, value]), zeros([1]), tensor([1 / 1024])],
  compute: (first, second, found, inverse) => {
    const own = [first!.clone(), second!.clone()];
    const overflow = found!.clone();
    callOp('goshawk::unscale_', own, overflow, inverse!);
    return [...own, overflow];
  },
}));

type AnyOptimizer = { step(): void; zeroGrad(): void };
const OPTIMIZERS: Readonly<Record<string, (parameters: Parameter[]) => AnyOptimizer>> = {
  SGD: (parameters) => new SGD(parameters, { lr: 0.1, momentum: 0.9, weightDecay: 1e-3 }),
  'SGD, Nesterov': (parameters) => new SGD(parameters, { lr: 0.1, momentum: 0.9, nesterov: true }),
  Adam: (parameters) => new Adam(parameters, { lr: 0.01, weightDecay: 1e-3 }),
  AdamW: (parameters) => new AdamW(parameters, { lr: 0.01, weightDecay: 1e-2 }),
};

const optimizerSteps: KernelCase[] = Object.entries(OPTIMIZERS).map(([name, make]) => ({
  name: `three steps of ${name}`,
  inputs: (draw) => [
    draw.values([33]),
    draw.values([16, 8, 3, 3]).to({ memoryFormat: 'channels_last' }),
    draw.values([7, 5]),
  ],
  compute: (...values) => {
    const parameters = values.map((value) => new Parameter(value.clone()));
    const optimizer = make(parameters);
    for (let step = 1; step <= 3; step++) {
      optimizer.zeroGrad();
      for (const parameter of parameters) {
        const halves = callOp('aten::mul.Scalar', callOp('aten::mul.Tensor', parameter, parameter) as Tensor, step / 2);
        (halves as Tensor).sum().backward();
      }
      optimizer.step();
    }
    return parameters.map((parameter) => parameter.detach().clone());
  },
  tolerance: 1e-5,
}));

export const KERNELS: readonly Kernel[] = [
  { operator: 'roi_align', cases: roiAlign },
  { operator: 'roi_align_multilevel', cases: roiAlignMultilevel },
  { operator: 'roi_align_backward', cases: roiAlignBackward },
  { operator: 'roi_pool', cases: roiPool },
  { operator: 'nms', cases: nms },
  { operator: 'batched_nms', cases: batchedNms },
  { operator: 'box_iou', cases: boxIou },
  { operator: 'match_anchors', cases: matchAnchors },
  { operator: 'crop_mask_targets', cases: cropMaskTargets },
  { operator: 'masks_to_rle', cases: masksToRle },
  { operator: 'sigmoid_focal_loss', cases: focalLoss },
  { operator: 'batch_norm', cases: batchNorm },
  { operator: 'batch_norm halves', cases: batchNormHalves },
  { operator: 'group_norm', cases: groupNorm },
  { operator: 'with_bias_gradient', cases: biasGradient },
  { operator: 'nms_first', cases: nmsFirst },
  { operator: 'match_batch', cases: matchBatch },
  { operator: 'scale_shift', cases: scaleShift },
  { operator: 'unscale_', cases: gradientScale },
  { operator: 'optimizers', cases: optimizerSteps },
];
