// NMS against its definition in plain numbers, and torchvision (fixtures/make.py).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ones, tensor, zeros } from '../tensor/create.js';
import { getThreads, setThreads } from '../tensor/runtime.js';
import { scope } from '../tensor/scope.js';
import { torchvision } from '../testing/torchvision-cases.js';
import { batchedNms, type NmsOptions, nms, nmsFirst } from './index.js';

type Row = readonly number[];

/** Greedy suppression box by box; coordinates are small integers, so float32 and float64 agree up to the division. */
function definition(
  boxes: readonly Row[],
  scores: readonly number[],
  groups: readonly number[],
  threshold: number,
  { plusOne = false, suppressEqual = false }: NmsOptions,
): number[] {
  const extra = plusOne ? 1 : 0;
  const overlap = (a: Row, b: Row): number => {
    const [ax1 = 0, ay1 = 0, ax2 = 0, ay2 = 0] = a;
    const [bx1 = 0, by1 = 0, bx2 = 0, by2 = 0] = b;
    const width = Math.max(0, Math.min(ax2, bx2) - Math.max(ax1, bx1) + extra);
    const height = Math.max(0, Math.min(ay2, by2) - Math.max(ay1, by1) + extra);
    const area = (ax2 - ax1 + extra) * (ay2 - ay1 + extra) + (bx2 - bx1 + extra) * (by2 - by1 + extra);
    return Math.fround((width * height) / (area - width * height));
  };
  const order = boxes.map((_, i) => i).sort((a, b) => scores[b]! - scores[a]! || a - b);
  const kept: number[] = [];
  for (const candidate of order) {
    const suppressed = kept.some((other) => {
      if (groups[other] !== groups[candidate]) return false;
      const iou = overlap(boxes[other]!, boxes[candidate]!);
      return suppressEqual ? iou >= Math.fround(threshold) : iou > threshold;
    });
    if (!suppressed) kept.push(candidate);
  }
  return kept;
}

test('suppresses above the threshold, not at it', () => {
  scope(() => {
    // IoU of the two is exactly 1/2.
    const boxes = tensor([
      [0, 0, 2, 2],
      [0, 0, 2, 1],
    ]);
    const scores = tensor([0.3, 0.9]);
    assert.deepEqual(nms(boxes, scores, 0.5).toNumbers(), [1, 0]);
    assert.deepEqual(nms(boxes, scores, 0.49).toNumbers(), [1]);
    assert.deepEqual(nms(boxes, scores, 0.5, { suppressEqual: true }).toNumbers(), [1]);
  });
});

test('counts the last pixel of a box when asked to', () => {
  scope(() => {
    // 3 x 3 and 3 x 2 pixels: IoU 6/9; without the last pixels 2 x 2 and 2 x 1: IoU 1/2.
    const boxes = tensor([
      [0, 0, 2, 2],
      [0, 0, 2, 1],
    ]);
    const scores = tensor([0.9, 0.3]);
    assert.deepEqual(nms(boxes, scores, 0.6).toNumbers(), [0, 1]);
    assert.deepEqual(nms(boxes, scores, 0.6, { plusOne: true }).toNumbers(), [0]);
  });
});

test('keeps what torchvision keeps, equal scores in the order given', () => {
  scope(() => {
    const { boxes, scores, kept } = torchvision.nms;
    for (const [threshold, expected] of Object.entries(kept))
      assert.deepEqual(nms(tensor(boxes), tensor(scores), Number(threshold)).toNumbers(), expected);
  });
});

test('is the greedy definition, within each group', () => {
  const side = fc.integer({ min: 0, max: 12 });
  const box = fc.tuple(side, side, side, side).map(([x, y, w, h]) => [x, y, x + w + 1, y + h + 1]);
  const entry = fc.record({ box, score: fc.integer({ min: 0, max: 5 }), group: fc.integer({ min: -1, max: 2 }) });
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 60 }),
      fc.constantFrom(0, 0.25, 0.3, 0.5, 0.7, 1),
      fc.boolean(),
      fc.boolean(),
      (entries, threshold, plusOne, suppressEqual) =>
        scope(() => {
          const boxes = entries.map((one) => one.box);
          const scores = entries.map((one) => one.score / 4);
          const groups = entries.map((one) => one.group);
          const options = { plusOne, suppressEqual };
          const [b, s] = [tensor(boxes.flat(), { shape: [boxes.length, 4] }), tensor(scores)];
          assert.deepEqual(
            batchedNms(b, s, tensor(groups, { dtype: 'int64' }), threshold, options).toNumbers(),
            definition(boxes, scores, groups, threshold, options),
          );
          const one = groups.map(() => 0);
          assert.deepEqual(
            nms(b, s, threshold, options).toNumbers(),
            definition(boxes, scores, one, threshold, options),
          );
        }),
    ),
    { numRuns: 200 },
  );
});

test('is the same for thousands of boxes, which threads share', () => {
  const threads = getThreads();
  const boxes = Array.from({ length: 1500 }, (_, i) => {
    const [x, y] = [(i * 37) % 211, (i * 53) % 197];
    return [x, y, x + 20 + (i % 31), y + 20 + (i % 29)];
  });
  const scores = boxes.map((_, i) => ((i * 71) % 997) / 1024);
  const groups = boxes.map((_, i) => i % 3);
  try {
    for (const count of [1, 3]) {
      setThreads(count);
      scope(() => {
        assert.deepEqual(
          nms(tensor(boxes), tensor(scores), 0.5).toNumbers(),
          definition(
            boxes,
            scores,
            groups.map(() => 0),
            0.5,
            {},
          ),
        );
        assert.deepEqual(
          batchedNms(tensor(boxes), tensor(scores), tensor(groups, { dtype: 'int64' }), 0.5).toNumbers(),
          definition(boxes, scores, groups, 0.5, {}),
        );
      });
    }
  } finally {
    setThreads(threads);
  }
});

test('compares groups at full precision, however far from the origin', () => {
  scope(() => {
    // Ten thousand groups moved apart by 1001 pixels each would be left with whole pixels in float32.
    const boxes = tensor([
      [0, 0, 0.125, 1000],
      [0.0625, 0, 0.1875, 1000],
    ]);
    const groups = tensor([9999, 9999], { dtype: 'int64' });
    assert.deepEqual(batchedNms(boxes, tensor([0.9, 0.8]), groups, 0.3).toNumbers(), [0]);
    assert.deepEqual(batchedNms(boxes, tensor([0.9, 0.8]), groups, 0.34).toNumbers(), [0, 1]);
  });
});

test('puts scores that are not numbers last, and lets boxes that are not overlap nothing', () => {
  scope(() => {
    const nan = Number.NaN;
    const boxes = tensor([
      [0, 0, 4, 4],
      [nan, nan, nan, nan],
      [0, 0, 4, 4],
      [0, 0, nan, 4],
    ]);
    assert.deepEqual(nms(boxes, tensor([nan, 0.2, 0.1, nan]), 0.5).toNumbers(), [1, 2, 3]);
  });
});

test('takes no boxes, and names shapes that do not fit', () => {
  scope(() => {
    assert.deepEqual(nms(zeros([0, 4]), zeros([0]), 0.5).toNumbers(), []);
    assert.deepEqual(batchedNms(zeros([0, 4]), zeros([0]), zeros([0], { dtype: 'int64' }), 0.5).toNumbers(), []);
    assert.throws(
      () => nms(ones([4, 128]), ones([4]), 0.5),
      /boxes must be \[N, 4\] floating point xyxy, got \[4, 128\]/,
    );
    assert.throws(() => nms(ones([4, 4]), ones([3]), 0.5), /scores must be \[N\] floating point with N = 4, got \[3\]/);
    assert.throws(() => batchedNms(ones([2, 4]), ones([2]), ones([2]), 0.5), /groups must be integer \[N\]/);
  });
});

const candidate = fc.record({
  corner: fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 12 })),
  side: fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 9 })),
  score: fc.integer({ min: 0, max: 5 }),
  group: fc.integer({ min: 0, max: 2 }),
  takesPart: fc.boolean(),
});

test('the first so many of each image of a batch are the best that suppression of the image alone keeps', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(candidate, { minLength: 20, maxLength: 20 }), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 0, max: 25 }),
      fc.boolean(),
      (images, count, legacy) =>
        scope(() => {
          const rules = { plusOne: legacy, suppressEqual: legacy };
          const boxOf = ({ corner: [x, y], side: [w, h] }: (typeof images)[number][number]) => [x, y, x + w, y + h];
          const scores = images.map((own) => own.map(({ score, takesPart }) => (takesPart ? score : -Infinity)));
          const { kept, valid } = nmsFirst(
            tensor(images.map((own) => own.map(boxOf))),
            tensor(scores),
            tensor(
              images.map((own) => own.map(({ group }) => group)),
              { dtype: 'int64' },
            ),
            0.4,
            { count, ...rules },
          );
          assert.deepEqual(kept.shape, [images.length, count]);
          const expected = images.map((own) => {
            const places = own.flatMap(({ takesPart }, place) => (takesPart ? [place] : []));
            const part = places.map((place) => own[place]!);
            const alone = definition(
              part.map(boxOf),
              part.map(({ score }) => score),
              part.map(({ group }) => group),
              0.4,
              rules,
            );
            return alone.slice(0, count).map((index) => places[index]!);
          });
          const padded = (row: readonly number[]): number[] => [...row, ...new Array(count - row.length).fill(0)];
          assert.deepEqual(kept.toNumbers(), expected.flatMap(padded));
          assert.deepEqual(
            valid.toNumbers(),
            expected.flatMap((row) => padded(row.map(() => 1))),
          );
        }),
    ),
    { numRuns: 60 },
  );
});

test('groups of all images are given once; NaN scores come last, of those that take part', () => {
  scope(() => {
    const far = (i: number): Row => [i * 10, 0, i * 10 + 5, 5];
    const boxes = tensor([
      [far(0), far(0), far(1), far(2)],
      [far(0), far(1), far(1), far(1)],
    ]);
    const scores = tensor([
      [Number.NaN, 1, 2, -Infinity],
      [0.5, Number.NaN, 1, 2],
    ]);
    const groups = tensor([0, 1, 0, 0], { dtype: 'int64' });
    const { kept, valid } = nmsFirst(boxes, scores, groups, 0.5, { count: 4 });
    assert.deepEqual(kept.toNumbers(), [2, 1, 0, 0, 3, 0, 1, 0]);
    assert.deepEqual(valid.toNumbers(), [1, 1, 1, 0, 1, 1, 1, 0]);
    assert.throws(
      () => nmsFirst(boxes, scores, tensor([0]), 0.5, { count: 1 }),
      /^Error: goshawk::nms_first\([^\n]*groups/,
    );
  });
});
