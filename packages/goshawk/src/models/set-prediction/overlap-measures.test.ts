import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRandom } from '@goshawk/core';
import { ops, scope, tensor } from '@goshawk/torch';
import { type OverlapMeasure, overlapLoss, overlapOf } from './overlap-measures.js';

type Corners = readonly [number, number, number, number];

// Overlapping, apart, one in the other, the same, touching, of another shape.
const PAIRS: readonly (readonly [Corners, Corners])[] = [
  [
    [0, 0, 10, 20],
    [5, 5, 25, 15],
  ],
  [
    [0, 0, 10, 10],
    [30, 40, 50, 44],
  ],
  [
    [0, 0, 40, 40],
    [10, 10, 20, 30],
  ],
  [
    [3, 4, 9, 11],
    [3, 4, 9, 11],
  ],
  [
    [0, 0, 10, 10],
    [10, 0, 20, 10],
  ],
];

/** By the definitions of the papers. */
function defined(measure: OverlapMeasure, [ax1, ay1, ax2, ay2]: Corners, [bx1, by1, bx2, by2]: Corners): number {
  const inside =
    Math.max(0, Math.min(ax2, bx2) - Math.max(ax1, bx1)) * Math.max(0, Math.min(ay2, by2) - Math.max(ay1, by1));
  const union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - inside;
  const iou = inside / union;
  const [width, height] = [Math.max(ax2, bx2) - Math.min(ax1, bx1), Math.max(ay2, by2) - Math.min(ay1, by1)];
  if (measure === 'iou') return iou;
  if (measure === 'giou') return iou - (width * height - union) / (width * height);
  const apart = ((ax1 + ax2 - bx1 - bx2) / 2) ** 2 + ((ay1 + ay2 - by1 - by2) / 2) ** 2;
  const diou = iou - apart / (width ** 2 + height ** 2);
  if (measure === 'diou') return diou;
  const angle = Math.atan((bx2 - bx1) / (by2 - by1)) - Math.atan((ax2 - ax1) / (ay2 - ay1));
  const v = (4 / Math.PI ** 2) * angle ** 2;
  return diou - (v === 0 ? 0 : (v * v) / (1 - iou + v));
}

const boxesOf = (which: 0 | 1) =>
  tensor(Float64Array.from(PAIRS.flatMap((pair) => [...pair[which]])), { shape: [PAIRS.length, 4] });

/** Of coordinates that float32 holds. */
function singlePairs(): readonly (readonly [Corners, Corners])[] {
  const random = createRandom(5);
  const boxOf = (longest: number): Corners => {
    const [x, y] = [random.uniform() * 1000, random.uniform() * 1000];
    const [width, height] = [0.5 + random.uniform() * longest, 0.5 + random.uniform() * longest];
    return [x, y, x + width, y + height].map(Math.fround) as unknown as Corners;
  };
  const step = (value: number): number => value * (1 + 2 ** -23);
  return Array.from({ length: 200 }, (_, i) => {
    const box = boxOf(i % 2 === 0 ? 1000 : 3);
    const others: readonly Corners[] = [
      box,
      box.map((side, k) => (k === i % 4 ? Math.fround(step(side)) : side)) as unknown as Corners,
      boxOf(1000),
      [box[0], box[1], Math.fround(box[2] + 40), box[3]],
    ];
    return [box, others[(i >> 1) % 4]!] as const;
  });
}

for (const measure of ['iou', 'giou', 'diou', 'ciou'] as const)
  describe(measure, () => {
    test('is what its paper says', () =>
      scope(() => {
        const own = overlapOf(measure, boxesOf(0), boxesOf(1)).toNumbers();
        for (const [at, [a, b]] of PAIRS.entries())
          assert.ok(Math.abs(own[at]! - defined(measure, a, b)) < 1e-8, `pair ${at}: ${own[at]}`);
      }));

    test('of all pairs expands', () =>
      scope(() => {
        const table = overlapOf(measure, ops.unsqueeze(boxesOf(0), 1), ops.unsqueeze(boxesOf(1), 0));
        assert.deepEqual(table.shape, [PAIRS.length, PAIRS.length]);
        assert.ok(Math.abs(table.toNumbers()[1]! - defined(measure, PAIRS[0]![0], PAIRS[1]![1])) < 1e-8);
      }));

    // Float32 holds seven digits of the sides, and the measures are differences of numbers of the size of one.
    test('in float32 is the same to its last digits: of boxes alike, one step apart, far apart, thin and large', () =>
      scope(() => {
        const pairs = singlePairs();
        const [own, other] = [0, 1].map((which) =>
          tensor(
            pairs.flatMap((pair) => [...pair[which]!]),
            { shape: [pairs.length, 4] },
          ),
        );
        own!.requiresGrad = true;
        const found = overlapOf(measure, own!, other!);
        const values = found.toNumbers();
        for (const [at, [a, b]] of pairs.entries())
          assert.ok(Math.abs(values[at]! - defined(measure, a, b)) < 1e-6, `${a} and ${b}: ${values[at]}`);
        ops.sum(overlapLoss(measure, own!, other!)).backward();
        assert.ok(own!.grad!.toNumbers().every(Number.isFinite));
      }));

    test('has a finite loss and slope for boxes that do not touch, and for one of no size', () =>
      scope(() => {
        const boxes = tensor([0, 0, 10, 10, 5, 5, 5, 5], { shape: [2, 4] });
        boxes.requiresGrad = true;
        const others = tensor([30, 30, 40, 50, 30, 30, 40, 50], { shape: [2, 4] });
        const loss = ops.sum(overlapLoss(measure, boxes, others));
        loss.backward();
        assert.ok(Number.isFinite(loss.item()));
        assert.ok(boxes.grad!.toNumbers().every(Number.isFinite));
      }));
  });

test('the loss is 1 minus the measure, and of the IoU its negative logarithm', () =>
  scope(() => {
    const [boxes, others] = [boxesOf(0), boxesOf(1)];
    const giou = overlapLoss('giou', boxes, others).toNumbers();
    assert.ok(Math.abs(giou[0]! - (1 - defined('giou', ...PAIRS[0]!))) < 1e-8);
    const iou = overlapLoss('iou', boxes, others).toNumbers();
    assert.ok(Math.abs(iou[0]! + Math.log(defined('iou', ...PAIRS[0]!))) < 1e-8);
  }));
