// The tracker on films made by hand, of which the right tracks are known.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { boxXywh } from '../boxes/box.js';
import { InputError } from '../errors/index.js';
import { ByteTracker, type ByteTrackerOptions, type TrackedItem } from './byte-tracker.js';

const SIDE = 40;

/** A square object around x, y. */
const at = (x: number, y: number, score = 0.9, categoryId = 1): TrackedItem => ({
  categoryId,
  score,
  bbox: boxXywh(x - SIDE / 2, y - SIDE / 2, SIDE, SIDE),
});

/** The ids of a film, a row a frame. */
function follow(
  film: readonly (readonly TrackedItem[])[],
  options?: ByteTrackerOptions,
): readonly (readonly (number | undefined)[])[] {
  const tracker = new ByteTracker(options);
  return film.map((frame) => tracker.update(frame));
}

const frames = <T>(count: number, frame: (time: number) => T): T[] => Array.from({ length: count }, (_, i) => frame(i));
const same = <T>(count: number, value: T): T[] => frames(count, () => value);

describe('objects keep their tracks', () => {
  test('standing and moving, whatever order they are given in', () => {
    const film = frames(30, (t) => {
      const both = [at(50 + 6 * t, 50), at(300, 200)];
      return t % 2 === 0 ? both : both.reverse();
    });
    assert.deepEqual(
      follow(film),
      frames(30, (t) => (t % 2 === 0 ? [1, 2] : [2, 1])),
    );
  });

  test('two that cross, by the way they move', () => {
    // From frame 9 to frame 10 they change places: by overlap alone they would change their numbers.
    const film = frames(20, (t) => [at(100 + 15 * t, 100), at(385 - 15 * t, 100)]);
    assert.deepEqual(follow(film), same(20, [1, 2]));
  });

  test('one behind another that hides it for half a second, found again where it comes out', () => {
    const isHidden = (t: number) => t >= 20 && t < 35;
    const film = frames(60, (t) => [at(400, 100), ...(isHidden(t) ? [] : [at(200 + 7 * t, 104)])]);
    assert.deepEqual(
      follow(film),
      frames(60, (t) => (isHidden(t) ? [1] : [1, 2])),
    );
  });

  test('one whose score falls, which the second round keeps', () => {
    const film = frames(30, (t) => [at(100 + 3 * t, 100, t >= 10 && t < 20 ? 0.2 : 0.9)]);
    assert.deepEqual(follow(film), same(30, [1]));
    // Without that round it is lost; what is found again when it is back has been away.
    const seen = follow(film, { lowScore: 0.6 }).map(([id]) => id);
    assert.deepEqual(seen, [...same(10, 1), ...same(10, undefined), ...same(10, 1)]);
  });
});

describe('tracks begin and end', () => {
  test('with objects that enter and leave; a number is never given twice', () => {
    const film = frames(100, (t) => [
      at(50, 50),
      ...(t >= 10 && t < 40 ? [at(200, 50)] : []),
      // At the place of the one before, when that has been gone for longer than 30 frames.
      ...(t >= 75 ? [at(200, 50)] : []),
    ]);
    assert.deepEqual(
      follow(film),
      frames(100, (t) => (t >= 10 && t < 40 ? [1, 2] : t >= 75 ? [1, 3] : [1])),
    );
  });

  test('after so many frames out of sight as is said', () => {
    const film = (gap: number) => [...same(5, [at(50, 50)]), ...same(gap, []), ...same(2, [at(50, 50)])];
    const last = (gap: number) => follow(film(gap), { lostFrames: 10 }).at(-1);
    assert.deepEqual(last(9), [1]);
    assert.deepEqual(last(10), [1]);
    assert.deepEqual(last(11), [2]);
  });

  test('never with a detection of low score, and only kept where a second frame shows it', () => {
    const film = [[at(50, 50)], [at(50, 50), at(200, 50)], [at(50, 50)], [at(50, 50), at(200, 50)], [at(50, 50, 0.3)]];
    // The fluke of frame 1 was dropped: what frame 3 shows is new.
    assert.deepEqual(follow(film), [[1], [1, 2], [1], [1, 3], [1]]);
    assert.deepEqual(follow(same(5, [at(50, 50, 0.5)])), same(5, [undefined]));
    assert.deepEqual(follow(same(5, [at(50, 50, 0.65)])), same(5, [undefined]));
  });
});

test('a lost track does not take a box of low score', () => {
  const film = [...same(10, [at(50, 50)]), ...same(3, []), [at(50, 50, 0.3)], [at(50, 50)]];
  assert.deepEqual(follow(film).slice(-2), [[undefined], [1]]);
});

test('objects of other categories are other objects, also in one place', () => {
  assert.deepEqual(follow(same(4, [at(50, 50, 0.9, 1), at(50, 50, 0.9, 2)])), same(4, [1, 2]));
  const changing = frames(3, (t) => [at(50, 50, 0.9, t < 2 ? 1 : 2)]);
  assert.deepEqual(follow(changing), [[1], [1], [2]]);
});

test('what has no area is not followed', () => {
  const item = (bbox: readonly number[]): TrackedItem => ({ ...at(0, 0), bbox: boxXywh(...(bbox as [0, 0, 0, 0])) });
  const film = same(3, [
    { categoryId: 1, score: 0.9 },
    item([5, 5, 0, 10]),
    item([5, 5, 10, -1]),
    item([Number.NaN, 0, 5, 5]),
    at(50, 50),
  ]);
  assert.deepEqual(follow(film), same(3, [undefined, undefined, undefined, undefined, 1]));
});

test('scores in a wrong order are refused', () => {
  for (const options of [{ highScore: 0.5, newTrackScore: 0.4 }, { lowScore: 0.7 }, { lostFrames: 0.5 }])
    assert.throws(() => new ByteTracker(options), InputError);
});

test('whatever is found, a frame shows no track twice', () => {
  const items = fc.array(
    fc.record({
      x: fc.integer({ min: 0, max: 150 }),
      y: fc.integer({ min: 0, max: 60 }),
      score: fc.float({ min: 0, max: 1, noNaN: true }),
      category: fc.integer({ min: 1, max: 2 }),
    }),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(fc.array(items, { maxLength: 12 }), (film) => {
      const shown = follow(film.map((frame) => frame.map(({ x, y, score, category }) => at(x, y, score, category))));
      shown.forEach((ids, frame) => {
        assert.equal(ids.length, film[frame]!.length);
        const given = ids.filter((id) => id !== undefined);
        assert.equal(new Set(given).size, given.length);
      });
    }),
    { numRuns: 200 },
  );
});
