// Boxes against boxes: suppression, overlaps, and which anchor learns which object; a picture at a time and for a batch.
import { callOp, type Tensor, tensor, zeros } from '@goshawk/torch';
import { type KernelCase, run } from './kernel-case.js';

/** Suppression by both rules on both kinds of boxes. */
const RULES = [false, true].flatMap((plusOne) => [false, true].map((suppressEqual) => ({ plusOne, suppressEqual })));

export const nms: KernelCase[] = [
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

export const batchedNms: KernelCase[] = [
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

export const boxIou: KernelCase[] = [
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

export const matchAnchors: KernelCase[] = [
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

/** The first so many of each image, where those that are not there count as 0. */
export const nmsFirst: KernelCase[] = [
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

export const matchBatch: KernelCase[] = FLAGS.flatMap(([lowQuality, plusOne, lastClaims]) =>
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
