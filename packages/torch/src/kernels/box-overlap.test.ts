// IoU and matching against their definitions in plain numbers, and torchvision (fixtures/make.py).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../checks/assert-close.js';
import { ops } from '../ops/index.js';
import { ones, tensor, zeros } from '../tensor/create.js';
import { getThreads, setThreads } from '../tensor/runtime.js';
import { scope } from '../tensor/scope.js';
import { torchvision } from '../testing/torchvision-cases.js';
import { boxIou, matchAnchors, matchBatch } from './index.js';

test('divides the common area by the joint one', () => {
  scope(() => {
    const a = tensor([
      [0, 0, 2, 2],
      [5, 5, 5, 5],
    ]);
    const b = tensor([
      [1, 0, 3, 2],
      [0, 0, 2, 2],
      [2, 2, 3, 3],
    ]);
    assertClose(boxIou(a, b), [1 / 3, 1, 0, 0, 0, 0], { absolute: 1e-7 });
    // Last pixels counted: 3 x 3 each, 2 x 3, 3 x 3 and 1 x 1 of the first box in common.
    assertClose(boxIou(tensor([[0, 0, 2, 2]]), b, { plusOne: true }), [6 / 12, 1, 1 / 12], { absolute: 1e-7 });
  });
});

test('gives the bits of torchvision', () => {
  scope(() => {
    const { anchors, objects, iou, cases } = torchvision.match;
    const [truth, boxes] = [tensor(objects), tensor(anchors)];
    assert.deepEqual(boxIou(truth, boxes).toNumbers(), iou);
    for (const { low, high, allowLowQuality, objects: count, matches } of cases)
      assert.deepEqual(
        matchAnchors(tensor(objects.slice(0, count)), boxes, { low, high, allowLowQuality }).toNumbers(),
        matches,
      );
  });
});

const wide = Array.from({ length: 5000 }, (_, i) => {
  const [x, y] = [(i * 37) % 311, (i * 53) % 297];
  return [x, y, x + 16 * (1 + (i % 4)), y + 16 * (1 + (i % 3))];
});
const sparse = Array.from({ length: 37 }, (_, i) => {
  const [x, y] = [(i * 91) % 300, (i * 67) % 300];
  return [x, y, x + 20 + i, y + 60 - i];
});

/** torchvision's Matcher on a float32 matrix, written down plainly. */
function definition(low: number, high: number, allowLowQuality: boolean): number[] {
  const matrix = scope(() => boxIou(tensor(sparse), tensor(wide)).toNumbers());
  const iou = (object: number, box: number): number => matrix[object * wide.length + box]!;
  const best = wide.map((_, box) => {
    let top = 0;
    for (let object = 1; object < sparse.length; object++) if (iou(object, box) > iou(top, box)) top = object;
    return top;
  });
  const peaks = sparse.map((_, object) => wide.reduce((peak, _box, box) => Math.max(peak, iou(object, box)), 0));
  return best.map((object, box) => {
    if (allowLowQuality && peaks.some((peak, other) => iou(other, box) === peak)) return object;
    const value = iou(object, box);
    return value < Math.fround(low) ? -1 : value < Math.fround(high) ? -2 : object;
  });
}

test('matches thousands of boxes as the whole matrix would, for any number of threads', () => {
  const threads = getThreads();
  try {
    for (const allowLowQuality of [false, true]) {
      const expected = definition(0.3, 0.7, allowLowQuality);
      assert.ok(expected.includes(-1) && expected.includes(-2) && expected.some((match) => match > 0));
      for (const count of [1, 3]) {
        setThreads(count);
        scope(() =>
          assert.deepEqual(
            matchAnchors(tensor(sparse), tensor(wide), { low: 0.3, high: 0.7, allowLowQuality }).toNumbers(),
            expected,
          ),
        );
      }
    }
  } finally {
    setThreads(threads);
  }
});

test('gives a low-quality match the object that the box overlaps most, not the one that asked', () => {
  scope(() => {
    const objects = tensor([
      [0, 0, 10, 10],
      [9, 0, 19, 3],
    ]);
    // The box is the best of both objects, and overlaps the first more.
    const boxes = tensor([[0, 0, 12, 10]]);
    const options = { low: 0.3, high: 0.95 };
    assert.deepEqual(matchAnchors(objects, boxes, options).toNumbers(), [-2]);
    assert.deepEqual(matchAnchors(objects, boxes, { ...options, allowLowQuality: true }).toNumbers(), [0]);
  });
});

test('makes background of everything without objects, and of boxes that are not numbers', () => {
  scope(() => {
    const boxes = tensor([
      [Number.NaN, 0, 1, 1],
      [0, 0, 1, 1],
    ]);
    const options = { low: 0.5, high: 0.5, allowLowQuality: true };
    assert.deepEqual(matchAnchors(zeros([0, 4]), boxes, options).toNumbers(), [-1, -1]);
    assert.deepEqual(matchAnchors(tensor([[0, 0, 1, 1]]), boxes, options).toNumbers(), [-1, 0]);
    assert.deepEqual(matchAnchors(tensor([[0, 0, 1, 1]]), zeros([0, 4]), options).toNumbers(), []);
  });
});

test('names what does not fit', () => {
  scope(() => {
    assert.throws(() => boxIou(ones([4]), ones([1, 4])), /a must be \[N, 4\] floating point xyxy, got \[4\]/);
    assert.throws(() => matchAnchors(ones([1, 5]), ones([1, 4]), { low: 0, high: 1 }), /gt_boxes must be \[N, 4\]/);
    assert.throws(() => matchAnchors(ones([1, 4]), ones([1, 4]), { low: 0.7, high: 0.3 }), /low must be at most high/);
  });
});

test('a batch is matched as its images are one by one, without the rows that are none and the boxes that take no part', () => {
  scope(() => {
    const size = 60;
    const objectRows = [0, 10].map((start) => sparse.slice(start, start + 6));
    const isPresent = [
      [1, 0, 1, 1, 0, 1],
      [0, 0, 0, 0, 0, 0],
    ];
    const boxRows = [0, 100].map((start) => wide.slice(start, start + size));
    const takesPart = boxRows.map((rows, image) => rows.map((_, i) => ((i * 7 + image) % 5 === 0 ? 0 : 1)));
    const flags = (rows: readonly (readonly number[])[]) => tensor(rows, { dtype: 'bool' });
    for (const rules of [
      { low: 0.1, high: 0.3 },
      { low: 0.1, high: 0.3, allowLowQuality: true },
      { low: 0.1, high: 0.3, allowLowQuality: true, lastClaims: true, plusOne: true },
    ]) {
      for (const isShared of [true, false]) {
        const boxes = isShared ? tensor(boxRows[0]!) : tensor(boxRows);
        const matches = matchBatch(tensor(objectRows), flags(isPresent), boxes, flags(takesPart), rules);
        const expected = objectRows.flatMap((rows, image) => {
          const objects = rows.flatMap((_, i) => (isPresent[image]![i] ? [i] : []));
          const places = takesPart[image]!.flatMap((flag, i) => (flag ? [i] : []));
          const own = boxRows[isShared ? 0 : image]!;
          const alone = matchAnchors(
            tensor(
              objects.flatMap((i) => rows[i]!),
              { shape: [objects.length, 4] },
            ),
            tensor(places.map((i) => own[i]!)),
            rules,
          ).toNumbers();
          const row: number[] = new Array(size).fill(-2);
          places.forEach((place, i) => {
            row[place] = alone[i]! < 0 ? alone[i]! : objects[alone[i]!]!;
          });
          return row;
        });
        assert.deepEqual(matches.toNumbers(), expected);
      }
    }
  });
});

test('objects that no box overlaps by the lowest best IoU get no box below the threshold', () => {
  scope(() => {
    const objects = tensor([
      [
        [0, 0, 10, 10],
        [100, 0, 110, 10],
      ],
    ]);
    // Best IoUs: 0.5 and 0.1.
    const boxes = tensor([
      [0, 0, 10, 5],
      [100, 0, 101, 10],
      [500, 500, 510, 510],
    ]);
    const present = ops.ge(ops.select(objects, 2, 0), 0);
    const matched = (lowestBestIou: number): number[] =>
      matchBatch(objects, present, boxes, undefined, {
        low: 0.05,
        high: 0.7,
        allowLowQuality: true,
        lowestBestIou,
      }).toNumbers();
    assert.deepEqual(matched(0), [0, 1, -1]);
    assert.deepEqual(matched(0.3), [0, -2, -1]);
    assert.deepEqual(matched(0.6), [-2, -2, -1]);
  });
});
