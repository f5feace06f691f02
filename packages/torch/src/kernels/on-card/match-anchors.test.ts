// Matching boxes with objects on a card: the same matches as the CPU's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { callOp, scope, type Tensor, tensor } from '../../tensor/index.js';
import { callOnEmulatedCard } from '../../testing/emulated-card.js';

type Arguments = Parameters<typeof callOnEmulatedCard> extends [string, ...infer Rest] ? Rest : never;

function assertSame(operator: string, ...args: Arguments): void {
  const found = callOnEmulatedCard(operator, ...args) as Tensor;
  const expected = callOp(`goshawk::${operator}`, ...args) as Tensor;
  assert.equal(found.dtype, 'int64');
  assert.deepEqual(found.shape, expected.shape);
  assert.deepEqual(found.toNumbers(), expected.toNumbers());
}

/** Boxes at whole pixels, so that overlaps tie; now and then one whose coordinates are no numbers or that is empty. */
function boxes(count: number, seed: number): number[][] {
  return Array.from({ length: count }, (_, i) => {
    const at = (factor: number, range: number): number => ((i + seed) * factor + seed) % range;
    const [x, y] = [at(7, 23), at(13, 29)];
    if (at(5, 37) === 0) return [Number.NaN, y, x, y];
    return [x, y, x + at(3, 9), y + at(11, 7)];
  });
}

const table = (rows: readonly (readonly number[])[]): Tensor => tensor(rows.flat(), { shape: [rows.length, 4] });
const thresholds = fc.constantFrom([0.3, 0.7], [0.4, 0.5], [0.5, 0.5], [0, 0.2], [0.1, 0.3]);

test('a card matches as the CPU does', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(0, 1, 7, 130),
      fc.constantFrom(0, 1, 31, 1500),
      thresholds,
      fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
      fc.nat(1000),
      (objects, count, [low, high], rules, seed) =>
        scope(() =>
          assertSame(
            'match_anchors',
            table(boxes(objects, seed)),
            table(boxes(count, seed * 3 + 1)),
            low!,
            high!,
            ...rules,
          ),
        ),
    ),
    { numRuns: 30 },
  );
});

test('images of a batch at once, with rows that are no objects and boxes that take no part', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(0, 1, 5, 140),
      fc.constantFrom(1, 40, 1100),
      thresholds,
      fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
      fc.constantFrom(0, 0.2, 0.5, 0.9),
      fc.nat(1000),
      fc.boolean(),
      (objectCount, boxCount, [low, high], rules, lowest, seed, isShared) =>
        scope(() => {
          const images = 3;
          const batch = (count: number, factor: number): Tensor =>
            tensor(Array.from({ length: images }, (_, n) => boxes(count, seed * factor + n)).flat(2), {
              shape: [images, count, 4],
            });
          // Of the last image none is present.
          const present = tensor(
            Array.from({ length: images * objectCount }, (_, i) =>
              (i * 5 + seed) % 3 > 0 && i < 2 * objectCount ? 1 : 0,
            ),
            { shape: [images, objectCount], dtype: 'bool' },
          );
          const all = isShared ? table(boxes(boxCount, seed)) : batch(boxCount, 2);
          const some = tensor(
            Array.from({ length: images * boxCount }, (_, i) => ((i + seed) % 4 > 0 ? 1 : 0)),
            { shape: [images, boxCount], dtype: 'bool' },
          );
          for (const takingPart of [undefined, some])
            assertSame('match_batch', batch(objectCount, 1), present, all, takingPart, low!, high!, ...rules, lowest);
        }),
    ),
    { numRuns: 30 },
  );
});
