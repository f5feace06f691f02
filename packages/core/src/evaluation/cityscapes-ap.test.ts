// Cityscapes AP against cityscapesScripts on made label pictures, and on small cases by hand.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { cityscapesDataset } from '../formats/cityscapes.js';
import type { Detection } from '../formats/dataset.js';
import { encodeMask } from '../masks/rle-encode.js';
import { evaluateCityscapes, formatCityscapesTable } from './cityscapes-ap.js';

/** Value and length, row by row. */
type Runs = readonly (readonly [number, number])[];
interface Fixture {
  readonly height: number;
  readonly width: number;
  readonly pictures: readonly {
    readonly ids: Runs;
    readonly predictions: readonly { readonly label: number; readonly score: number; readonly runs: Runs }[];
  }[];
  readonly expected: {
    readonly ap: number;
    readonly ap50: number;
    readonly classes: Readonly<Record<string, { readonly ap: number | null; readonly ap50: number | null }>>;
  };
}

const expand = (runs: Runs) => runs.flatMap(([value, count]) => new Array<number>(count).fill(value));

test('equals cityscapesScripts on random pictures with groups, void, small objects, duplicates and tied scores', () => {
  const file = new URL('../../src/evaluation/fixtures/cityscapes.json.gz', import.meta.url);
  const { height, width, pictures, expected } = JSON.parse(gunzipSync(readFileSync(file)).toString()) as Fixture;
  const groundTruth = cityscapesDataset(
    pictures.map(({ ids }, i) => {
      const name = `${i}.png`;
      return { fileName: name, image: name, width, height, ids: Uint16Array.from(expand(ids)) };
    }),
  );
  const detections = pictures.flatMap(({ predictions }, i) =>
    predictions.map(({ label, score, runs }): Detection => {
      const rle = encodeMask(Uint8Array.from(expand(runs)), [height, width]);
      return { imageId: i + 1, categoryId: label, score, segmentation: { kind: 'rle', rle } };
    }),
  );
  const result = evaluateCityscapes({ groundTruth, detections });
  const close = (got: number, wanted: number | null, what: string) =>
    assert.ok(Math.abs(got - (wanted ?? -1)) < 1e-9, `${what}: ${got} for ${wanted}`);
  for (const { name, ap, ap50 } of result.perClass) {
    close(ap, expected.classes[name]!.ap, name);
    close(ap50, expected.classes[name]!.ap50, name);
  }
  close(result.ap, expected.ap, 'mean');
  close(result.ap50, expected.ap50, 'mean at 50%');
  assert.ok(expected.ap50 > 0.2 && expected.ap50 < 0.9);
});

// 40 x 40: a car of 20 x 20 = 400 pixels, a group of cars, a small car of 6 x 6, void, road elsewhere.
const side = 40;
function paint(areas: readonly (readonly [id: number, x: number, y: number, width: number, height: number])[]) {
  const ids = new Uint16Array(side * side);
  for (const [id, left, top, width, height] of areas)
    for (let y = top; y < top + height; y++) ids.fill(id, y * side + left, y * side + left + width);
  return ids;
}
const scene = cityscapesDataset([
  {
    fileName: 'a.png',
    image: 'a.png',
    width: side,
    height: side,
    ids: paint([
      [7, 0, 0, 40, 40],
      [26000, 0, 0, 20, 20],
      [26, 20, 0, 20, 20],
      [26001, 0, 30, 6, 6],
      [4, 20, 20, 20, 20],
    ]),
  },
]);
const car = (score: number, x: number, y: number, width: number, height: number): Detection => ({
  imageId: 1,
  categoryId: 26,
  score,
  segmentation: { kind: 'rle', rle: encodeMask(Uint8Array.from(paint([[1, x, y, width, height]])), [side, side]) },
});
const cars = (...detections: Detection[]) => {
  const { ap, ap50, objects } = evaluateCityscapes({ groundTruth: scene, detections }).perClass[2]!;
  return { ap, ap50, objects };
};

describe('evaluateCityscapes by hand', () => {
  test('groups and objects below 100 pixels are not to be found', () => {
    assert.deepEqual(cars(car(0.9, 0, 0, 20, 20)), { ap: 1, ap50: 1, objects: 1 });
    assert.deepEqual(cars(), { ap: 0, ap50: 0, objects: 1 });
  });

  test('detections on a group, a small object or void are not wrong', () => {
    assert.equal(
      cars(car(0.9, 20, 0, 20, 20), car(0.8, 0, 30, 6, 6), car(0.7, 22, 22, 10, 10), car(0.6, 0, 0, 20, 20)).ap,
      1,
    );
    // A void share of exactly a half is not above 0.5: wrong. Ranked first it leaves the points (recall 0, precision 0)
    // and (1, 0.5); the trapezoid between them is the AP.
    assert.equal(cars(car(0.9, 15, 22, 10, 10), car(0.6, 0, 0, 20, 20)).ap50, 0.25);
  });

  test('the overlap must be above the threshold: half a car is found at none', () => {
    assert.deepEqual(cars(car(0.9, 0, 0, 20, 10)), { ap: 0, ap50: 0, objects: 1 });
    // 300 of 400 pixels: above 0.5, 0.55, 0.6, 0.65 and 0.7, not above 0.75.
    assert.deepEqual(cars(car(0.9, 0, 0, 20, 15)), { ap: 0.5, ap50: 1, objects: 1 });
  });

  test('the table lists each class and the mean', () => {
    const lines = formatCityscapesTable(
      evaluateCityscapes({ groundTruth: scene, detections: [car(0.9, 0, 0, 20, 15)] }),
    ).split('\n');
    assert.equal(lines[0], 'Cityscapes    objects       AP    AP50%');
    assert.equal(lines[1], 'person              0        -        -');
    assert.equal(lines[3], 'car                 1   0.5000   1.0000');
    assert.equal(lines.at(-1), 'mean                1   0.5000   1.0000');
  });

  test('what cannot be evaluated is named', () => {
    const run = (changes: Partial<Detection>) =>
      evaluateCityscapes({ groundTruth: scene, detections: [{ ...car(1, 0, 0, 9, 9), ...changes }] });
    assert.throws(() => run({ imageId: 2 }), /detections\[0\]: image 2 is not in the ground truth/);
    assert.throws(() => run({ score: Number.NaN }), /score must be a number/);
    assert.throws(() => run({ segmentation: undefined }), /image 1: segmentation is missing/);
    const rle = encodeMask(new Uint8Array(4), [2, 2]);
    assert.throws(() => run({ segmentation: { kind: 'rle', rle } }), /mask is 2 x 2 \(expected 40 x 40\)/);
  });
});
