// Suppression on a card: the same decisions as the CPU's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { callOp, type DType, manualSeed, rand, randint, scope, type Tensor, tensor } from '../../tensor/index.js';
import { callOnEmulatedCard } from '../../testing/emulated-card.js';

type Arguments = Parameters<typeof callOnEmulatedCard> extends [string, ...infer Rest] ? Rest : never;

function assertSame(operator: string, ...args: Arguments): void {
  const found = [callOnEmulatedCard(operator, ...args)].flat() as Tensor[];
  const expected = [callOp(`goshawk::${operator}`, ...args)].flat() as Tensor[];
  assert.equal(found.length, expected.length);
  for (const [i, one] of found.entries()) {
    assert.equal(one.dtype, expected[i]!.dtype);
    assert.deepEqual(one.shape, expected[i]!.shape);
    assert.deepEqual(one.toNumbers(), expected[i]!.toNumbers());
  }
}

const side = fc.integer({ min: 0, max: 9 });
const special = fc.constantFrom(Number.NaN, Infinity, -Infinity, -0, 0);
const candidate = fc.record({
  box: fc.tuple(
    fc.tuple(side, side, side, side).map(([x, y, w, h]) => [x, y, x + w, y + h]),
    fc.constantFrom(1, 1, 1, 1, 1, 1, Number.NaN, Infinity),
  ),
  score: fc.oneof({ arbitrary: fc.integer({ min: -2, max: 3 }), weight: 5 }, { arbitrary: special, weight: 1 }),
  group: fc.constantFrom(0, 1, 2, -5, 2 ** 40),
});

test('a card keeps the boxes that the CPU keeps, in the same order', () => {
  fc.assert(
    fc.property(
      fc.array(candidate, { maxLength: 100 }),
      fc.constantFrom(0, 0.25, 0.3, 0.5, 1),
      fc.boolean(),
      fc.boolean(),
      fc.constantFrom<DType>('float32', 'float64', 'float16', 'bfloat16'),
      (all, threshold, plusOne, suppressEqual, dtype) =>
        scope(() => {
          const rows = all.flatMap(({ box: [corners, factor] }) => corners.map((value) => value * factor));
          const boxes = tensor(rows, { shape: [all.length, 4], dtype });
          const scores = tensor(
            all.map(({ score }) => score),
            { dtype: 'float32' },
          );
          const groups = tensor(
            all.map(({ group }) => group),
            { dtype: 'int64' },
          );
          assertSame('nms', boxes, scores, threshold, plusOne, suppressEqual);
          assertSame('batched_nms', boxes, scores, groups, threshold, plusOne, suppressEqual);
          for (const count of [0, 3, 200]) {
            const images = [boxes, scores, groups].map((each) => each.unsqueeze(0)) as [Tensor, Tensor, Tensor];
            assertSame('nms_first', ...images, threshold, count, plusOne, suppressEqual);
          }
        }),
    ),
    { numRuns: 25 },
  );
});

/** Boxes of about 10 pixels within `extent`. */
function scattered(shape: readonly number[], extent: number): Tensor {
  const corner = rand([...shape, 2]).mul(extent);
  const size = rand([...shape, 2])
    .mul(10)
    .add(1);
  return callOp('aten::cat', [corner, corner.add(size)], -1) as Tensor;
}

test('images of a batch are decided about at once, with groups of each or of all', () => {
  manualSeed(3);
  scope(() => {
    const [images, count] = [3, 333];
    const boxes = scattered([images, count], 60);
    const scores = rand([images, count]);
    for (const groups of [randint(0, 5, [images, count]), randint(0, 5, [count])])
      for (const most of [1, 50, 400]) assertSame('nms_first', boxes, scores, groups, 0.3, most, false, false);
    // Many small groups, of which several begin in the 64 places of a block.
    assertSame('nms_first', boxes, scores, randint(0, 100, [images, count]), 0.1, count, false, false);
    // None takes part.
    assertSame('nms_first', boxes, scores.mul(-Infinity), randint(0, 5, [count]), 0.3, 4, false, false);
  });
});

test('a group of more boxes than the matrix of overlaps is wide', () => {
  manualSeed(4);
  scope(() => {
    const count = 4500;
    // So many of them are kept that those of the first chunk matter to the second.
    assertSame('nms', scattered([count], 400), rand([count]), 0.3, false, false);
  });
});

test('so many boxes that they are sorted', () => {
  manualSeed(5);
  scope(() => {
    const [images, count] = [2, 11_600];
    const scores = randint(0, 4000, [images, count]).to('float32').div(4000);
    const some = callOp('aten::masked_fill.Scalar', scores, scores.lt(0.7), -Infinity) as Tensor;
    const last = randint(0, 40, [images, count]);
    // The last of all numbers is a group like any other.
    const groups = callOp('aten::masked_fill.Scalar', last, last.eq(39), 9223372036854775807n) as Tensor;
    assertSame('nms_first', scattered([images, count], 300), some, groups, 0.5, 2000, false, false);
  });
});

test('no boxes at all', () => {
  scope(() => {
    const none = (shape: readonly number[], dtype: DType = 'float32') => tensor([], { shape, dtype });
    assertSame('nms', none([0, 4]), none([0]), 0.5, false, false);
    assertSame('batched_nms', none([0, 4]), none([0]), none([0], 'int64'), 0.5, false, false);
    assertSame('nms_first', none([2, 0, 4]), none([2, 0]), none([0], 'int64'), 0.5, 3, false, false);
    assertSame('nms_first', none([0, 5, 4]), none([0, 5]), none([0, 5], 'int64'), 0.5, 3, false, false);
  });
});
