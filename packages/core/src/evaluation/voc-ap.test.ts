// VOC AP against a plain reading of the devkit (VOCevaldet.m, VOCap.m) on real boxes, and on small cases by hand.
// fixtures/voc-boxes.json.gz has the corners as the VOC files have them, so that the reference below shares nothing with
// the code under test: neither the pixel rule nor the overlap, the order, the matching or the integration.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { boxXywh } from '../boxes/box.js';
import type { Annotation, Dataset, Detection } from '../formats/dataset.js';
import { vocBoxToXywh } from '../formats/voc-box.js';
import { processorMs } from '../testing/processor-time.js';
import { evaluateVoc, type VocMetric } from './voc-ap.js';
import { formatVocTable } from './voc-table.js';

/** name, xmin, ymin, xmax, ymax, difficult */
type TruthRow = readonly [string, number, number, number, number, number];
/** image, name, score, xmin, ymin, xmax, ymax */
type DetectionRow = readonly [string, string, number, number, number, number, number];
interface Picture {
  readonly image: string;
  readonly size: readonly [number, number];
  readonly objects: readonly TruthRow[];
}
interface Scene {
  readonly truths: readonly Picture[];
  readonly detections?: readonly DetectionRow[];
}

const file = new URL('../../src/evaluation/fixtures/voc-boxes.json.gz', import.meta.url);
const scenes = JSON.parse(gunzipSync(readFileSync(file)).toString()) as Record<string, Scene>;

/** AP of one class, step by step as the devkit describes it, in time proportional to everything. */
function devkitAp(
  truths: readonly Picture[],
  detections: readonly DetectionRow[],
  name: string,
  minOverlap: number,
): { eleven: number; area: number } {
  const own = detections.filter((row) => row[1] === name);
  own.sort((a, b) => b[2] - a[2]);
  const objects = truths.flatMap(({ image, objects: rows }) =>
    rows.filter((row) => row[0] === name).map((row) => ({ image, row, detected: false })),
  );
  const positives = objects.filter(({ row }) => row[5] === 0).length;
  const flags = own.map(([image, , , x1, y1, x2, y2]) => {
    const overlaps = objects.map((object) => {
      if (object.image !== image) return 0;
      const [, gx1, gy1, gx2, gy2] = object.row;
      const iw = Math.min(x2, gx2) - Math.max(x1, gx1) + 1;
      const ih = Math.min(y2, gy2) - Math.max(y1, gy1) + 1;
      if (iw <= 0 || ih <= 0) return 0;
      const areas = (x2 - x1 + 1) * (y2 - y1 + 1) + (gx2 - gx1 + 1) * (gy2 - gy1 + 1);
      return (iw * ih) / (areas - iw * ih);
    });
    const most = Math.max(0, ...overlaps);
    const object = objects[overlaps.indexOf(most)];
    if (object === undefined || most < minOverlap) return { tp: 0, fp: 1 };
    if (object.row[5] === 1) return { tp: 0, fp: 0 };
    if (object.detected) return { tp: 0, fp: 1 };
    object.detected = true;
    return { tp: 1, fp: 0 };
  });
  const points = flags.map((_, n) => {
    const tp = flags.slice(0, n + 1).reduce((sum, flag) => sum + flag.tp, 0);
    const fp = flags.slice(0, n + 1).reduce((sum, flag) => sum + flag.fp, 0);
    return { recall: tp / positives, precision: tp + fp === 0 ? 0 : tp / (tp + fp) };
  });
  const bestFrom = (recall: number) =>
    Math.max(0, ...points.filter((point) => point.recall >= recall).map((point) => point.precision));
  let eleven = 0;
  for (let n = 0; n <= 10; n++) eleven += bestFrom(n / 10) / 11;
  const steps = [0, ...new Set(points.map((point) => point.recall))].sort((a, b) => a - b);
  let area = 0;
  for (let n = 1; n < steps.length; n++) area += (steps[n]! - steps[n - 1]!) * bestFrom(steps[n]!);
  return { eleven, area };
}

/** The same scene as a dataset and detections in this package's boxes. */
function ours({ truths }: Scene, detections: readonly DetectionRow[]): { groundTruth: Dataset; found: Detection[] } {
  const names = [...new Set(truths.flatMap(({ objects }) => objects.map((row) => row[0])))].sort();
  const imageId = new Map(truths.map(({ image }, i) => [image, i + 1]));
  const box = (xmin: number, ymin: number, xmax: number, ymax: number) => vocBoxToXywh({ xmin, ymin, xmax, ymax });
  const annotations = truths.flatMap(({ image, objects }) =>
    objects.map(
      ([name, x1, y1, x2, y2, difficult], i): Annotation => ({
        id: i,
        imageId: imageId.get(image)!,
        categoryId: names.indexOf(name) + 1,
        bbox: box(x1, y1, x2, y2),
        area: 0,
        isCrowd: false,
        isDifficult: difficult === 1,
      }),
    ),
  );
  const images = truths.map(({ image, size: [width, height] }) => ({
    id: imageId.get(image)!,
    fileName: `${image}.jpg`,
    width,
    height,
  }));
  const found = detections.map(
    ([image, name, score, x1, y1, x2, y2]): Detection => ({
      imageId: imageId.get(image)!,
      // A class that the ground truth lacks.
      categoryId: names.includes(name) ? names.indexOf(name) + 1 : 99,
      score,
      bbox: box(x1, y1, x2, y2),
    }),
  );
  return { groundTruth: { images, annotations, categories: names.map((name, i) => ({ id: i + 1, name })) }, found };
}

/** Ground truth shifted and stretched by whole pixels, some left out, some twice, and some boxes anywhere; tied scores. */
function jittered(truths: readonly Picture[]): DetectionRow[] {
  let state = 20250101;
  const random = (count: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * count);
  };
  return truths.flatMap(({ image, size, objects }) =>
    objects.flatMap(([name, x1, y1, x2, y2]) =>
      Array.from({ length: [0, 1, 1, 1, 2][random(5)]! }, (): DetectionRow => {
        const spread = Math.max(1, Math.round((x2 - x1) / 6));
        const move = () => random(2 * spread + 1) - spread;
        const score = random(100) / 100;
        if (random(8) > 0) return [image, name, score, x1 + move(), y1 + move(), x2 + move(), y2 + move()];
        const [left, top] = [1 + random(size[0] - 60), 1 + random(size[1] - 60)];
        return [image, name, score, left, top, left + 50, top + 50];
      }),
    ),
  );
}

describe('evaluateVoc equals the devkit', () => {
  for (const [name, scene] of Object.entries(scenes)) {
    const detections = scene.detections ?? jittered(scene.truths);
    const { groundTruth, found } = ours(scene, detections);
    for (const iouThreshold of [0.5, 0.75]) {
      test(`on ${name} at ${iouThreshold}, in both conventions, to 1e-9`, () => {
        assert.ok(groundTruth.annotations.length > 100 && found.length > 100);
        const evaluations = (['11-point', 'area'] as const).map((metric) =>
          evaluateVoc({ groundTruth, detections: found, iouThreshold, metric }),
        );
        const expected = groundTruth.categories.map((category) =>
          devkitAp(scene.truths, detections, category.name, iouThreshold),
        );
        let counted = 0;
        for (const [k, { eleven, area }] of expected.entries()) {
          const [byPoints, byArea] = evaluations.map(({ perClass }) => perClass[k]!);
          if (byArea!.objects === 0) continue;
          counted++;
          assert.ok(Math.abs(byPoints!.ap - eleven) < 1e-9, `${byPoints!.name}: ${byPoints!.ap} for ${eleven}`);
          assert.ok(Math.abs(byArea!.ap - area) < 1e-9, `${byArea!.name}: ${byArea!.ap} for ${area}`);
        }
        const mean = (of: 'eleven' | 'area') =>
          expected.reduce((sum, one, k) => sum + (evaluations[0]!.perClass[k]!.objects > 0 ? one[of] : 0), 0) / counted;
        assert.ok(counted >= 3 && Math.abs(evaluations[0]!.map - mean('eleven')) < 1e-9);
        assert.ok(Math.abs(evaluations[1]!.map - mean('area')) < 1e-9);
        assert.ok(mean('area') > 0.05 && mean('area') < 0.95, `says little: ${mean('area')}`);
      });
    }
  }
});

const picture = { id: 1, fileName: '1.jpg', width: 100, height: 100 };
const dataset = (annotations: readonly Partial<Annotation>[]): Dataset => ({
  images: [picture],
  categories: [
    { id: 7, name: 'cat' },
    { id: 9, name: 'dog' },
  ],
  annotations: annotations.map((one, i) => ({
    id: i + 1,
    imageId: 1,
    categoryId: 7,
    bbox: boxXywh(0, 0, 10, 10),
    area: 100,
    isCrowd: false,
    ...one,
  })),
});
const at = (x: number, score: number, width = 10): Detection => ({
  imageId: 1,
  categoryId: 7,
  score,
  bbox: boxXywh(x, 0, width, 10),
});
const ap = (groundTruth: Dataset, detections: readonly Detection[], metric: VocMetric = 'area') =>
  evaluateVoc({ groundTruth, detections, metric }).perClass[0]!.ap;

describe('evaluateVoc by hand', () => {
  test('an overlap of exactly the threshold is enough', () => {
    // 10 x 10 in 20 x 10.
    assert.equal(ap(dataset([{}]), [at(0, 0.9, 20)]), 1);
  });

  test('a second detection of an object is wrong, even where another object would be left', () => {
    const two = dataset([{}, { bbox: boxXywh(4, 0, 10, 10) }]);
    const {
      precision,
      recall,
      scores,
      ap: value,
    } = evaluateVoc({
      groundTruth: two,
      detections: [at(1, 0.8), at(0, 0.9)],
    }).perClass[0]!;
    assert.deepEqual([...precision], [1, 0.5]);
    assert.deepEqual([...recall], [0.5, 0.5]);
    assert.deepEqual([...scores], [0.9, 0.8]);
    assert.equal(value, 0.5);
    assert.ok(Math.abs(ap(two, [at(1, 0.8), at(0, 0.9)], '11-point') - 6 / 11) < 1e-12);
  });

  test('a difficult object is neither missed nor wrong when found, however often; a crowd likewise', () => {
    for (const mark of [{ isDifficult: true }, { isCrowd: true }]) {
      const truth = dataset([{ ...mark }, { bbox: boxXywh(50, 0, 10, 10) }]);
      assert.equal(ap(truth, [at(0, 0.9), at(0, 0.8), at(50, 0.7)]), 1);
      assert.equal(evaluateVoc({ groundTruth: truth, detections: [] }).perClass[0]!.objects, 1);
    }
  });

  test('a class without objects has no AP and no part in the mean', () => {
    const result = evaluateVoc({ groundTruth: dataset([{}]), detections: [at(0, 0.9)] });
    assert.deepEqual(
      result.perClass.map((one) => one.ap),
      [1, -1],
    );
    assert.equal(result.map, 1);
    assert.equal(evaluateVoc({ groundTruth: dataset([]), detections: [at(0, 1)] }).map, -1);
  });

  test('the table shows both conventions side by side', () => {
    const groundTruth = dataset([{}, { bbox: boxXywh(50, 0, 10, 10) }]);
    const detections = [at(0, 0.9)];
    const table = formatVocTable(
      (['11-point', 'area'] as const).map((metric) => evaluateVoc({ groundTruth, detections, metric })),
    );
    assert.deepEqual(table.split('\n'), [
      'IoU 0.5  objects  AP (11 points)  AP (area)',
      'cat            2          0.5455     0.5000',
      'dog            0               -          -',
      'mean           2          0.5455     0.5000',
    ]);
  });

  test('what cannot be evaluated is named', () => {
    const groundTruth = dataset([{}]);
    const run = (detection: Partial<Detection>, iouThreshold = 0.5) =>
      evaluateVoc({ groundTruth, detections: [{ ...at(0, 1), ...detection }], iouThreshold });
    assert.throws(() => run({ imageId: 2 }), /detections\[0\]: image 2 is not in the ground truth/);
    assert.throws(() => run({ score: Number.NaN }), /detections\[0\]: score must be a number/);
    assert.throws(() => run({ bbox: undefined }), /detections\[0\]: bbox is missing/);
    assert.throws(() => run({}, 50), /iouThreshold is 50/);
  });
});

test('200 000 detections of 20 000 images take less than two seconds', () => {
  const images = Array.from({ length: 20_000 }, (_, i) => ({ ...picture, id: i + 1 }));
  const annotations = images.flatMap(({ id }) => dataset([{ imageId: id }, { imageId: id }]).annotations);
  const detections = images.flatMap(({ id }) =>
    Array.from({ length: 10 }, (_, i) => ({ ...at(i, ((id * 10 + i) % 997) / 997), imageId: id })),
  );
  const ms = processorMs(() => {
    evaluateVoc({ groundTruth: { ...dataset([]), images, annotations }, detections });
  });
  assert.ok(ms < 2000, `${ms} ms`);
});
