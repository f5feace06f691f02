// Masks on a card: the run lengths and targets of the CPU, to the bit.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callOp, full, manualSeed, rand, randn, scope, type Tensor, tensor, zeros } from '../../tensor/index.js';
import { callOnEmulatedCard } from '../../testing/emulated-card.js';

function assertSameRuns(
  masks: Tensor,
  boxes: Tensor,
  [height, width]: readonly [number, number],
  { threshold = 0.5, strict = false, padding = 1 } = {},
): void {
  const args = [masks, boxes, height, width, threshold, strict, padding] as const;
  const found = callOnEmulatedCard('masks_to_rle', ...args) as Tensor[];
  const expected = callOp('goshawk::masks_to_rle', ...args) as Tensor[];
  for (const i of [0, 1]) {
    assert.equal(found[i]!.dtype, expected[i]!.dtype);
    assert.deepEqual(found[i]!.toNumbers(), expected[i]!.toNumbers());
  }
}

const BOXES = [
  [3, 4, 30, 21],
  [-20.3, -8, 15.5, 90],
  [-100, -100, 200, 200],
  [40.2, 3, 40.9, 60],
  [60, 40, 50, 30],
  [500, 500, 600, 600],
  [0, 0, 70, 44],
  [-1e20, -1e20, 1e20, 1e20],
  [Number.NaN, 0, 1, 1],
  [0, 0, Infinity, 1],
];

test('a card pastes masks into the run lengths of the CPU', () => {
  manualSeed(1);
  scope(() => {
    const boxes = tensor(BOXES);
    for (const size of [
      [45, 71],
      [32, 64],
      [1, 50],
      [97, 1],
    ] as const)
      for (const padding of [0, 1, 3])
        for (const side of [1, 14]) {
          const masks = rand([BOXES.length, side, side]);
          assertSameRuns(masks, boxes, size, { padding });
          assertSameRuns(masks.round(), boxes, size, { padding, threshold: 0, strict: true });
        }
  });
});

test('runs go over the ends of columns, and there may be none', () => {
  scope(() => {
    const boxes = tensor(BOXES);
    for (const value of [0, 0.5, 1, Number.NaN, Infinity])
      for (const padding of [0, 1])
        for (const strict of [false, true])
          assertSameRuns(full([BOXES.length, 4, 4], value), boxes, [33, 70], { padding, strict });
    assertSameRuns(zeros([0, 28, 28]), zeros([0, 4]), [5, 7]);
  });
});

test('masks of any floating point type, and images of more words than a block has threads', () => {
  manualSeed(2);
  scope(() => {
    const boxes = tensor([[10, 5, 240, 190]]);
    const masks = rand([1, 28, 28]);
    for (const dtype of ['float16', 'bfloat16', 'float64'] as const) assertSameRuns(masks.to(dtype), boxes, [200, 260]);
  });
});

const IMAGE = [60, 80] as const;

function crops(): { data: Tensor; table: Tensor } {
  const places = [
    [0, 0, 80, 60],
    [13, 7, 31, 22],
    [79, 59, 1, 1],
    [5, 5, 0, 10],
  ];
  let bytes = 0;
  const rows = places.map(([x, y, width, height]) => {
    const row = [bytes, x!, y!, width!, height!];
    bytes += width! * height!;
    return row;
  });
  return { data: rand([bytes]).round().to('uint8'), table: tensor(rows, { dtype: 'int64' }) };
}

test('a card cuts the targets of the CPU', () => {
  manualSeed(3);
  scope(() => {
    const { data, table } = crops();
    const corners = randn([60, 4]).mul(40).add(30);
    const special = tensor([
      [-900, -900, 5000, 4000],
      [0, 0, 80, 60],
      [20, 20, 20, 20],
      [30, 30, 10, 10],
      [Number.NaN, 0, 4, 4],
      [0, 0, Infinity, 4],
      [200, 200, 210, 210],
    ]);
    const rois = callOp('aten::cat', [corners, special]) as Tensor;
    const objects = tensor(
      Array.from({ length: rois.size(0) }, (_, k) => k % 4),
      { dtype: 'int64' },
    );
    for (const resolution of [1, 7, 28]) {
      const args = [data, table, rois, objects, ...IMAGE, resolution] as const;
      const found = callOnEmulatedCard('crop_mask_targets', ...args) as Tensor;
      const expected = callOp('goshawk::crop_mask_targets', ...args) as Tensor;
      assert.deepEqual(found.shape, expected.shape);
      assert.deepEqual(found.toNumbers(), expected.toNumbers());
    }
    const none = callOnEmulatedCard(
      'crop_mask_targets',
      data,
      table,
      zeros([0, 4]),
      zeros([0], { dtype: 'int64' }),
      ...IMAGE,
      7,
    );
    assert.deepEqual((none as Tensor).shape, [0, 7, 7]);
  });
});

test('what a host would have to look at first gives zeros: crops beyond the data or the image, objects that are none', () => {
  scope(() => {
    const rois = tensor([[0, 0, 8, 8]]);
    const cut = (crop: readonly number[], object: number): number[] => {
      const index = tensor([object], { dtype: 'int64' });
      const table = tensor([crop], { dtype: 'int64' });
      const data = full([16], 1, { dtype: 'uint8' });
      return (callOnEmulatedCard('crop_mask_targets', data, table, rois, index, 8, 8, 2) as Tensor).toNumbers();
    };
    assert.ok(cut([0, 0, 0, 4, 4], 0).some((value) => value > 0));
    for (const crop of [
      [1, 0, 0, 4, 4],
      [-1, 0, 0, 4, 4],
      [0, 6, 0, 4, 4],
      [0, 0, -1, 4, 4],
      [0, 0, 0, 2 ** 40, 1],
    ])
      assert.deepEqual(cut(crop, 0), [0, 0, 0, 0]);
    for (const object of [-1, 1, 2 ** 40]) assert.deepEqual(cut([0, 0, 0, 4, 4], object), [0, 0, 0, 0]);
  });
});
