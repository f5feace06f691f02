import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { manualSeed, scope, tensor } from '@goshawk/torch';
import fc from 'fast-check';
import { BACKGROUND, drawSample, evenDraws, IGNORED, indicesWhere, type MatchOptions, matchBoxes } from './sampling.js';

type Box = readonly [number, number, number, number];

const boxes = (rows: readonly Box[]) => tensor(rows.flat(), { shape: [rows.length, 4] });
const int64 = (values: readonly number[]) => tensor(BigInt64Array.from(values, BigInt), { shape: [values.length] });

function iou(a: Box, b: Box, plusOne = 0): number {
  const width = Math.min(a[2], b[2]) - Math.max(a[0], b[0]) + plusOne;
  const height = Math.min(a[3], b[3]) - Math.max(a[1], b[1]) + plusOne;
  const area = (box: Box): number => (box[2] - box[0] + plusOne) * (box[3] - box[1] + plusOne);
  const shared = Math.max(0, width) * Math.max(0, height);
  return shared / (area(a) + area(b) - shared);
}

/** Faster R-CNN, section 3.1.2, in words of float64: the best object, the thresholds, then each object's best boxes. */
function matchByDefinition(objects: readonly Box[], candidates: readonly Box[], options: MatchOptions): number[] {
  const overlaps = candidates.map((box) => objects.map((object) => iou(object, box)));
  const bestOfObject = objects.map((_, g) => Math.max(...overlaps.map((row) => row[g]!)));
  return overlaps.map((row) => {
    if (objects.length === 0) return BACKGROUND;
    const best = Math.max(...row);
    const object = row.indexOf(best);
    if (best >= options.foregroundIou) return object;
    if (options.allowLowQuality && row.some((overlap, g) => overlap === bestOfObject[g])) return object;
    return best < options.backgroundIou ? BACKGROUND : IGNORED;
  });
}

// Whole coordinates and thresholds of 1/4 and 1/2: float32 and float64 agree on every comparison.
const wholeBox = fc
  .tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 12 }), fc.integer({ min: 1, max: 8 }), fc.nat(7))
  .map(([x, y, width, height]): Box => [x, y, x + width, y + height + 1]);

describe('matchBoxes', () => {
  for (const allowLowQuality of [false, true]) {
    test(`follows the definition ${allowLowQuality ? 'with' : 'without'} low-quality matches`, () => {
      const options = { foregroundIou: 0.5, backgroundIou: 0.25, allowLowQuality };
      fc.assert(
        fc.property(
          fc.array(wholeBox, { minLength: 1, maxLength: 5 }),
          fc.array(wholeBox, { minLength: 1, maxLength: 20 }),
          (objects, candidates) =>
            scope(() => {
              const matches = matchBoxes(boxes(objects), boxes(candidates), options);
              assert.deepEqual(matches.toNumbers(), matchByDefinition(objects, candidates, options));
            }),
        ),
        { numRuns: 200 },
      );
    });
  }

  /** MaxIoUAssigner of mmdetection 1.1 in words: thresholds, then each object in turn takes its best boxes. */
  function claimByDefinition(objects: readonly Box[], candidates: readonly Box[], options: MatchOptions): number[] {
    const overlaps = candidates.map((box) => objects.map((object) => iou(object, box, 1)));
    const matches = overlaps.map((row) => {
      const best = Math.max(...row);
      if (best >= options.foregroundIou) return row.indexOf(best);
      return best < options.backgroundIou ? BACKGROUND : IGNORED;
    });
    objects.forEach((_, object) => {
      const best = Math.max(...overlaps.map((row) => row[object]!));
      if (best < options.lowestBestIou! || best === 0) return;
      overlaps.forEach((row, box) => {
        if (row[object] === best) matches[box] = object;
      });
    });
    return matches;
  }

  for (const lowestBestIou of [0, 0.125, 0.25]) {
    test(`lets objects claim their best boxes as mmdetection does, from an IoU of ${lowestBestIou} on`, () => {
      const options: MatchOptions = {
        foregroundIou: 0.5,
        backgroundIou: 0.25,
        allowLowQuality: true,
        convention: 'inclusive',
        lastClaims: true,
        lowestBestIou,
      };
      fc.assert(
        fc.property(
          fc.array(wholeBox, { minLength: 1, maxLength: 5 }),
          fc.array(wholeBox, { minLength: 1, maxLength: 6 }),
          (objects, candidates) =>
            scope(() => {
              const matches = matchBoxes(boxes(objects), boxes(candidates), options);
              assert.deepEqual(matches.toNumbers(), claimByDefinition(objects, candidates, options));
            }),
        ),
        { numRuns: 300 },
      );
    });
  }

  test('leaves a box to the object that may claim it, where a poor one reaches its own best IoU there too', () =>
    scope(() => {
      const candidates: Box[] = [[0, 0, 10, 10]];
      const objects: Box[] = [
        [0, 0, 10, 4],
        [9, 0, 30, 10],
      ];
      const options = { foregroundIou: 0.7, backgroundIou: 0.3, allowLowQuality: true, lastClaims: true };
      const found = (lowestBestIou: number): number[] =>
        matchBoxes(boxes(objects), boxes(candidates), { ...options, lowestBestIou }).toNumbers();
      assert.deepEqual(found(0), [1]);
      assert.deepEqual(found(0.3), [0]);
      assert.deepEqual(found(0.5), [IGNORED]);
    }));

  const object: Box = [0, 0, 10, 10];

  test('ignores what lies between the thresholds, both of which belong to the upper side', () =>
    scope(() => {
      const wide = (width: number): Box => [0, 0, width, 10];
      const matches = matchBoxes(boxes([object]), boxes([wide(7), wide(6), wide(3), wide(2)]), {
        foregroundIou: 0.7,
        backgroundIou: 0.3,
        allowLowQuality: false,
      });
      assert.deepEqual(matches.toNumbers(), [0, IGNORED, IGNORED, BACKGROUND]);
    }));

  test('makes the best box of an object positive, however low its IoU', () =>
    scope(() => {
      const candidates: Box[] = [
        [0, 0, 1, 10],
        [0, 0, 2, 10],
        [50, 50, 60, 60],
      ];
      const options = { foregroundIou: 0.7, backgroundIou: 0.3 };
      const matches = (allowLowQuality: boolean) =>
        matchBoxes(boxes([object]), boxes(candidates), { ...options, allowLowQuality }).toNumbers();
      assert.deepEqual(matches(true), [BACKGROUND, 0, BACKGROUND]);
      assert.deepEqual(matches(false), [BACKGROUND, BACKGROUND, BACKGROUND]);
    }));

  test('calls everything background in an image without objects', () =>
    scope(() => {
      const matches = matchBoxes(boxes([]), boxes([object, object]), {
        foregroundIou: 0.7,
        backgroundIou: 0.3,
        allowLowQuality: true,
      });
      assert.deepEqual([matches.dtype, ...matches.toNumbers()], ['int64', BACKGROUND, BACKGROUND]);
    }));
});

describe('drawSample', () => {
  const many = [...new Array<number>(20).fill(3), ...new Array<number>(40).fill(BACKGROUND), IGNORED, IGNORED];

  test('takes at most the positive share, and fills up with negatives', () =>
    scope(() => {
      const { positive, negative } = drawSample(int64(many), { count: 16, positiveFraction: 0.25 });
      assert.deepEqual([positive.length, negative.length], [4, 12]);
    }));

  test('gives the room of missing positives to negatives', () =>
    scope(() => {
      const { positive, negative } = drawSample(int64([0, ...many.slice(20)]), { count: 16, positiveFraction: 0.5 });
      assert.deepEqual([positive.length, negative.length], [1, 15]);
    }));

  test('draws fewer where there are not enough', () =>
    scope(() => {
      const { positive, negative } = drawSample(int64([0, BACKGROUND, IGNORED]), { count: 256, positiveFraction: 0.5 });
      assert.deepEqual([positive.toNumbers(), negative.toNumbers()], [[0], [1]]);
    }));

  test('draws each box once, of its own kind, and never an ignored one', () =>
    scope(() => {
      manualSeed(1);
      for (let time = 0; time < 20; time++) {
        const { positive, negative } = drawSample(int64(many), { count: 30, positiveFraction: 0.5 });
        const [first, second] = [positive.toNumbers(), negative.toNumbers()];
        assert.equal(new Set([...first, ...second]).size, 30);
        assert.ok(first.every((index) => many[index]! >= 0));
        assert.ok(second.every((index) => many[index] === BACKGROUND));
      }
    }));

  test('reaches every box in time', () =>
    scope(() => {
      manualSeed(2);
      const seen = new Set<number>();
      for (let time = 0; time < 60; time++)
        for (const index of drawSample(int64(many), { count: 16, positiveFraction: 0.5 }).positive.toNumbers())
          seen.add(index);
      assert.equal(seen.size, 20);
    }));

  test("draws the same for the same seed of the engine's generator", () => {
    const draw = () =>
      scope(() => {
        manualSeed(7);
        return drawSample(int64(many), { count: 16, positiveFraction: 0.5 }).negative.toNumbers();
      });
    assert.deepEqual(draw(), draw());
  });
});

describe('evenDraws', () => {
  test('takes evenly spaced places from the first on', () =>
    scope(() => {
      assert.deepEqual(evenDraws.distinct(10, 4, int64([...Array(10).keys()])).toNumbers(), [0, 2, 5, 7]);
      assert.deepEqual(evenDraws.withRepeats(3, 6).toNumbers(), [0, 0, 1, 1, 2, 2]);
      const matches = int64([0, 0, 0, 0, BACKGROUND, BACKGROUND, BACKGROUND]);
      const { positive, negative } = drawSample(matches, { count: 4, positiveFraction: 0.5 }, evenDraws);
      assert.deepEqual(
        [positive.toNumbers(), negative.toNumbers()],
        [
          [0, 2],
          [4, 5],
        ],
      );
    }));
});

describe('indicesWhere', () => {
  test('lists the places of true elements', () =>
    scope(() => {
      assert.deepEqual(indicesWhere(tensor([0, 1, 1, 0, 1], { dtype: 'bool' })).toNumbers(), [1, 2, 4]);
      assert.deepEqual(indicesWhere(tensor([0, 0], { dtype: 'bool' })).shape, [0]);
    }));
});
