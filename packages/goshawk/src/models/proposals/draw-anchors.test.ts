import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { manualSeed, scope, type Tensor, tensor } from '@goshawk/torch';
import { CONVENTIONS } from '../conventions.js';
import { evenDraws, type PlaceDraws, randomDraws } from '../sampling.js';
import { type DrawAnchorsOptions, drawAnchors } from './draw-anchors.js';

type Box = readonly [number, number, number, number];

const boxesOf = (rows: readonly Box[]): Tensor => tensor(rows.flat(), { shape: [rows.length, 4] });

const OPTIONS: DrawAnchorsOptions = {
  foregroundIou: 0.7,
  backgroundIou: 0.3,
  batchSizePerImage: 8,
  positiveFraction: 0.5,
};

/** A row of anchors of 10 x 10 pixels, their left sides 10 pixels apart. */
const rowOf = (count: number): Box[] => Array.from({ length: count }, (_, i) => [i * 10, 0, i * 10 + 9, 9] as const);

interface Settings {
  readonly conventions?: keyof typeof CONVENTIONS;
  readonly draws?: PlaceDraws;
  readonly size?: readonly [number, number];
}

function draw(
  objects: readonly Box[],
  anchors: readonly Box[],
  { conventions = 'detectron', draws = evenDraws, size = [1000, 1000] }: Settings = {},
  options: Partial<DrawAnchorsOptions> = {},
) {
  return scope(() => {
    const drawn = drawAnchors(
      boxesOf(objects),
      boxesOf(anchors),
      size,
      { ...OPTIONS, ...options },
      CONVENTIONS[conventions],
      draws,
    );
    return {
      positive: drawn.positive.toNumbers(),
      negative: drawn.negative.toNumbers(),
      objects: drawn.objects.toNumbers(),
    };
  });
}

describe("drawAnchors in Detectron's way", () => {
  test('takes negatives at the places that are drawn, each once however often it is drawn', () => {
    // One positive; 9 far ones, of which 7 are wanted: floor(i * 9 / 7).
    const found = draw([[0, 0, 9, 9]], rowOf(10));
    assert.deepEqual(found, { positive: [0], negative: [1, 2, 3, 4, 6, 7, 8], objects: [0] });
    const repeating = { distinct: evenDraws.distinct, withRepeats: () => tensor(BigInt64Array.of(3n, 3n, 3n, 0n)) };
    assert.deepEqual(draw([[0, 0, 9, 9]], rowOf(10), { draws: repeating }).negative, [1, 4]);
  });

  test('takes no negatives unless there are more than wanted', () => {
    assert.deepEqual(draw([[0, 0, 9, 9]], rowOf(8)).negative, []);
    assert.equal(draw([[0, 0, 9, 9]], rowOf(9)).negative.length, 7);
  });

  test('makes a best anchor of low IoU a negative where it is drawn as one', () => {
    // The object overlaps the first anchor alone, by a tenth: its best anchor, and far by the threshold.
    const object: Box = [0, 0, 9, 0];
    const drawing = (place: bigint) => ({
      distinct: evenDraws.distinct,
      withRepeats: () => tensor(BigInt64Array.of(place, 5n)),
    });
    assert.deepEqual(draw([object], rowOf(10), { draws: drawing(0n) }), {
      positive: [],
      negative: [0, 5],
      objects: [],
    });
    assert.deepEqual(draw([object], rowOf(10), { draws: drawing(1n) }), {
      positive: [0],
      negative: [1, 5],
      objects: [0],
    });
  });

  test('takes at most the share of positives, each with its own object', () => {
    const anchors = [...rowOf(6), ...rowOf(14).slice(6)];
    const objects = rowOf(6);
    const found = draw(objects, anchors);
    assert.deepEqual(found.positive, [0, 1, 3, 4]);
    assert.deepEqual(found.objects, found.positive);
    assert.equal(found.negative.length, 4);
  });

  test('draws negatives alone in an image without objects', () => {
    const { positive, negative } = draw([], rowOf(20));
    assert.deepEqual([positive.length, negative.length], [0, 8]);
  });

  test('draws by chance with repeats: fewer different ones than wanted, sooner or later', () => {
    manualSeed(3);
    const counts = Array.from(
      { length: 20 },
      () => draw([[0, 0, 9, 9]], rowOf(12), { draws: randomDraws }).negative.length,
    );
    assert.ok(counts.every((count) => count <= 7) && counts.some((count) => count < 7), counts.join(' '));
  });
});

describe('drawAnchors without repeats', () => {
  test('takes what negatives there are', () => {
    const found = draw([[0, 0, 9, 9]], rowOf(4), { conventions: 'torchvision' });
    assert.deepEqual(found, { positive: [0], negative: [1, 2, 3], objects: [0] });
  });

  test('gives positives only to objects whose best anchor is good enough, where one must be', () => {
    // An overlap of a half: between the thresholds, the object's best.
    const object: Box = [0, 0, 4, 9];
    const positives = (lowestBestIou: number): number[] =>
      draw([object], rowOf(4), { conventions: 'mmdetection' }, { lowestBestIou }).positive;
    assert.deepEqual([positives(0), positives(0.3), positives(0.6)], [[0], [0], []]);
  });
});

for (const conventions of Object.keys(CONVENTIONS) as (keyof typeof CONVENTIONS)[]) {
  describe(`the border of drawAnchors, ${conventions}`, () => {
    // Inside; over the left border by 2; over the right by 1; over the lower by 5.
    const anchors: Box[] = [
      [0, 0, 9, 9],
      [-2, 0, 7, 9],
      [91, 0, 100, 9],
      [50, 15, 59, 24],
      ...rowOf(9).map(([x1, , x2]) => [x1, 10, x2, 19] as const),
    ];
    /** Which of the first four learn an object, that is there for each of them. */
    const drawn = (straddle: number | undefined): number[] => {
      const options = { straddle, batchSizePerImage: 100 };
      const { positive } = draw(anchors.slice(0, 4), anchors, { conventions, size: [20, 100] }, options);
      return positive.filter((anchor) => anchor < 4);
    };

    test('leaves out anchors that reach further beyond the image than allowed, and numbers the others as before', () => {
      assert.deepEqual(drawn(0), [0]);
      assert.deepEqual(drawn(2), [0, 1, 2]);
      assert.deepEqual(drawn(undefined), [0, 1, 2, 3]);
    });

    test('draws nothing in an image smaller than every anchor', () => {
      const found = draw([[0, 0, 3, 3]], rowOf(5), { conventions, size: [4, 4] }, { straddle: 0 });
      assert.deepEqual(found, { positive: [], negative: [], objects: [] });
    });
  });
}

describe("an object's best anchor that reaches beyond the image", () => {
  // The object's overlap with the first anchor is the larger one, 0.4 to 0.2, but that one is left out.
  const anchors: Box[] = [
    [-4, 0, 5, 9],
    [4, 0, 13, 9],
    [60, 0, 69, 9],
  ];
  const object: Box = [0, 0, 5, 9];
  const found = (conventions: keyof typeof CONVENTIONS) => draw([object], anchors, { conventions }, { straddle: 0 });

  test('leaves the best place to the next one by the rules of Detectron and torchvision', () => {
    for (const conventions of ['torchvision', 'detectron'] as const)
      assert.deepEqual(found(conventions).positive, [1], conventions);
  });

  test("keeps the place and learns nothing by maskrcnn-benchmark's", () => {
    assert.deepEqual(found('maskrcnn_benchmark'), { positive: [], negative: [1, 2], objects: [] });
  });
});
