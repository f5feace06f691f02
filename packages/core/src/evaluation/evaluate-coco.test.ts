// Evaluation against what pycocotools 2.0.11 recorded (fixtures/), against small scenes counted by hand, and by property.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { boxXywh } from '../boxes/box.js';
import { parseCoco } from '../formats/coco.js';
import { parseCocoResults } from '../formats/coco-results.js';
import type { Annotation, Dataset, Detection } from '../formats/dataset.js';
import { boxToRle } from '../masks/polygon-to-rle.js';
import { inputErrorOf } from '../testing/input-error.js';
import type { NumberGrid } from './accumulate.js';
import type { CocoParams, IouType } from './coco-params.js';
import type { CocoStatName } from './coco-stats.js';
import { formatCocoTable } from './coco-table.js';
import { type CocoEvaluation, evaluateCoco } from './evaluate-coco.js';

interface RecordedCurve {
  readonly shape: readonly number[];
  readonly n_invalid: number;
  readonly sum_valid: number;
  readonly sumsq_valid: number;
  readonly weighted_sum_valid: number;
}
interface RecordedCase {
  readonly name: string;
  readonly gt: string;
  readonly dt: string;
  readonly iouType: IouType;
  readonly params: {
    readonly useCats?: number;
    readonly imgIds?: readonly number[];
    readonly catIds?: readonly number[];
    readonly maxDets?: readonly number[];
    readonly iouThrs?: readonly number[];
    readonly kpt_oks_sigmas?: readonly number[];
  };
  readonly stats: Readonly<Record<string, number>>;
  readonly precision: RecordedCurve;
  readonly recall: RecordedCurve;
  readonly scores: RecordedCurve;
  readonly per_category: Readonly<Record<string, { readonly AP: number; readonly AR: number }>>;
  readonly matching: {
    readonly n_gt_counted: number;
    readonly tp: readonly number[];
    readonly fp: readonly number[];
    readonly ignored_dt: readonly number[];
  };
}

function fixture(name: string): Uint8Array {
  return gunzipSync(readFileSync(new URL(`../../src/evaluation/fixtures/${name}.gz`, import.meta.url)));
}

const { cases } = JSON.parse(new TextDecoder().decode(fixture('expected.json'))) as { cases: RecordedCase[] };

function evaluateRecorded(name: string, more: Partial<CocoParams> = {}): CocoEvaluation {
  const recorded = cases.find((item) => item.name === name)!;
  const { dataset } = parseCoco(fixture(recorded.gt), { fileName: recorded.gt, purpose: 'evaluation' });
  const { detections } = parseCocoResults(fixture(recorded.dt), { fileName: recorded.dt, dataset });
  const { useCats, imgIds, catIds, maxDets, iouThrs, kpt_oks_sigmas } = recorded.params;
  const params: Partial<CocoParams> = {
    ...(useCats === 0 ? { useCategories: false } : {}),
    ...(imgIds ? { imageIds: imgIds } : {}),
    ...(catIds ? { categoryIds: catIds } : {}),
    ...(maxDets ? { maxDetections: maxDets } : {}),
    ...(iouThrs ? { iouThresholds: iouThrs } : {}),
    ...(kpt_oks_sigmas ? { oksSigmas: kpt_oks_sigmas } : {}),
  };
  return evaluateCoco({ groundTruth: dataset, detections, iouType: recorded.iouType, params: { ...params, ...more } });
}

function assertNear(actual: number | undefined, expected: number, what: string): void {
  const error = Math.abs((actual ?? Number.NaN) - expected) / Math.max(1, Math.abs(expected));
  assert.ok(error <= 1e-11, `${what}: expected ${expected}, got ${actual}`);
}

function assertCurve(grid: NumberGrid, expected: RecordedCurve, what: string): void {
  assert.deepEqual(grid.shape, expected.shape);
  let invalid = 0;
  let sum = 0;
  let squares = 0;
  let weighted = 0;
  grid.data.forEach((value, i) => {
    if (value === -1) invalid++;
    else {
      sum += value;
      squares += value * value;
      weighted += (value * (((7919 * i) % 1000) + 1)) / 1000;
    }
  });
  assert.equal(invalid, expected.n_invalid, what);
  assertNear(sum, expected.sum_valid, `${what} sum`);
  assertNear(squares, expected.sumsq_valid, `${what} sum of squares`);
  assertNear(weighted, expected.weighted_sum_valid, `${what} weighted sum`);
}

const ourNames: Readonly<Record<string, CocoStatName>> = {
  AP_small: 'APs',
  AP_medium: 'APm',
  AP_large: 'APl',
  AR_1: 'AR1',
  AR_10: 'AR10',
  AR_100: 'AR100',
  AR_small: 'ARs',
  AR_medium: 'ARm',
  AR_large: 'ARl',
};

describe('equal to pycocotools in its numbers, curves, categories and matches', () => {
  for (const recorded of cases) {
    test(recorded.name, () => {
      const isQuirk = recorded.name.startsWith('gt-id-zero');
      const result = evaluateRecorded(recorded.name, isQuirk ? { idZeroIsUnmatched: true } : {});
      assert.equal(result.names.length, recorded.iouType === 'keypoints' ? 10 : 12);
      for (const [name, value] of Object.entries(recorded.stats)) {
        assertNear(result.stats[ourNames[name] ?? (name as CocoStatName)], value, name);
      }
      for (const curve of ['precision', 'recall', 'scores'] as const)
        assertCurve(result[curve], recorded[curve], curve);
      for (const category of result.perCategory) {
        assertNear(category.AP, recorded.per_category[category.categoryId]!.AP, `AP of ${category.name}`);
        assertNear(category.AR, recorded.per_category[category.categoryId]!.AR, `AR of ${category.name}`);
      }
      assert.deepEqual(result.counts, {
        truePositives: recorded.matching.tp,
        falsePositives: recorded.matching.fp,
        ignored: recorded.matching.ignored_dt,
        groundTruths: recorded.matching.n_gt_counted,
      });
    });
  }
});

const image = { id: 1, fileName: 'a.jpg', width: 200, height: 200 };
const cat = { id: 1, name: 'cat' };
const box = (x: number, y: number, side: number) => boxXywh(x, y, side, side);

function object(id: number, x: number, y: number, side = 20, more: Partial<Annotation> = {}): Annotation {
  return { id, imageId: 1, categoryId: 1, bbox: box(x, y, side), area: side * side, isCrowd: false, ...more };
}

function found(score: number, x: number, y: number, side = 20, more: Partial<Detection> = {}): Detection {
  return { imageId: 1, categoryId: 1, score, bbox: box(x, y, side), ...more };
}

function scene(annotations: readonly Annotation[]): Dataset {
  return { images: [image], categories: [cat], annotations };
}

const boxes = (annotations: readonly Annotation[], detections: readonly Detection[], params?: Partial<CocoParams>) =>
  evaluateCoco({ groundTruth: scene(annotations), detections, iouType: 'bbox', params });

test('two objects found by the first and third of three detections: precision 1 up to recall 0.5, then 2/3', () => {
  const objects = [object(1, 0, 0), object(2, 100, 0)];
  const { stats, counts, perCategory } = boxes(objects, [found(0.7, 100, 0), found(0.9, 0, 0), found(0.8, 50, 100)]);
  const expected = (51 * 1 + 50 * (2 / 3)) / 101;
  assertNear(stats.AP, expected, 'AP');
  assertNear(stats.AP50, expected, 'AP50');
  assertNear(stats.APs, expected, 'APs');
  assert.equal(stats.APm, -1);
  assert.equal(stats.AR1, 0.5);
  assert.equal(stats.AR100, 1);
  assert.deepEqual([counts.truePositives[0], counts.falsePositives[0], counts.groundTruths], [2, 1, 2]);
  assert.deepEqual([perCategory[0]!.name, perCategory[0]!.groundTruths, perCategory[0]!.AR], ['cat', 2, 1]);
});

test('an annotation with id 0 is found as any other; the flaw of pycocotools is there on request', () => {
  assertNear(evaluateRecorded('gt-id-zero-bbox').stats.AP, 1, 'AP');
  assertNear(evaluateRecorded('gt-id-zero-bbox', { idZeroIsUnmatched: true }).stats.AP, 0.44224422442244227, 'AP');
});

test('AP is -1 where maxDetections lacks 100, unless statsMaxDetections names an entry', () => {
  const params = { maxDetections: [1, 10, 300] };
  assert.equal(boxes([object(1, 0, 0)], [found(0.9, 0, 0)], params).stats.AP, -1);
  assertNear(boxes([object(1, 0, 0)], [found(0.9, 0, 0)], { ...params, statsMaxDetections: 300 }).stats.AP, 1, 'AP');
});

test('without detections AP is 0, without objects -1, and an empty data set is no error', () => {
  assert.equal(boxes([object(1, 0, 0)], []).stats.AP, 0);
  assert.equal(boxes([], [found(0.9, 0, 0)]).stats.AP, -1);
  const nothing = evaluateCoco({
    groundTruth: { images: [], annotations: [], categories: [] },
    detections: [],
    iouType: 'segm',
  });
  assert.equal(nothing.stats.AP, -1);
});

test('a detection of an unknown category does not count', () => {
  const stray = found(0.95, 50, 50, 20, { categoryId: 77 });
  assertNear(boxes([object(1, 0, 0)], [stray, found(0.9, 0, 0)]).stats.AP, 1, 'AP');
});

test('detections on a crowd are neither right nor wrong, however many', () => {
  const crowd = object(2, 100, 100, 80, { isCrowd: true });
  const { stats, counts } = boxes(
    [object(1, 0, 0), crowd],
    [found(0.9, 110, 110), found(0.8, 140, 140), found(0.7, 0, 0)],
  );
  assertNear(stats.AP, 1, 'AP');
  assert.equal(counts.ignored[0], 2);
});

test('a mask detection is small or large by its box where it has one, by its mask on request', () => {
  // The wrong detection comes first: its mask has 20 x 20 pixels (small), its box 40 x 40 (medium).
  const size = [200, 200] as const;
  const mask = { kind: 'rle', rle: boxToRle(boxXywh(0, 0, 20, 20), size) } as const;
  const wrong = { kind: 'rle', rle: boxToRle(boxXywh(100, 100, 20, 20), size) } as const;
  const groundTruth = scene([object(1, 0, 0, 20, { segmentation: mask })]);
  const detections = [found(0.9, 100, 100, 40, { segmentation: wrong }), found(0.8, 0, 0, 20, { segmentation: mask })];
  const byBox = evaluateCoco({ groundTruth, detections, iouType: 'segm' });
  const byMask = evaluateCoco({ groundTruth, detections, iouType: 'segm', params: { segmArea: 'mask' } });
  assertNear(byBox.stats.APs, 1, 'APs by box: the wrong one is medium and ignored');
  assertNear(byMask.stats.APs, 0.5, 'APs by mask: the wrong one is small and counts');
});

test('thirty-two thresholds at once give what each gives alone, and so does any order of the detections', () => {
  const side = fc.integer({ min: 0, max: 40 });
  const place = fc.tuple(side, side, fc.integer({ min: 10, max: 60 }));
  const thresholds = Array.from({ length: 32 }, (_, i) => 0.1 + i / 40);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(place, fc.boolean()), { maxLength: 6 }),
      fc.array(place, { maxLength: 12 }),
      fc.nat(),
      (objects, places, turn) => {
        const annotations = objects.map(([[x, y, size], isCrowd], i) => object(i + 1, x, y, size, { isCrowd }));
        const detections = places.map(([x, y, size], i) => found(1 - i / 100, x, y, size));
        const all = boxes(annotations, detections, { iouThresholds: thresholds });
        const at = turn % Math.max(1, places.length);
        const turned = [...detections.slice(at), ...detections.slice(0, at)];
        assert.deepEqual(boxes(annotations, turned, { iouThresholds: thresholds }).precision, all.precision);
        const alone = boxes(annotations, detections, { iouThresholds: [thresholds[31]!] });
        assert.deepEqual(alone.precision.data, all.precision.data.slice(31 * alone.precision.data.length));
        assert.equal(alone.counts.truePositives[0], all.counts.truePositives[31]);
      },
    ),
    { numRuns: 60 },
  );
});

test('the annotations themselves, as detections, reach 1 for boxes and for masks', () => {
  const { dataset } = parseCoco(fixture('val2014-100/gt.json'), { fileName: 'gt.json', purpose: 'evaluation' });
  const detections = dataset.annotations
    .filter((annotation) => !annotation.isCrowd)
    .map(({ imageId, categoryId, bbox, segmentation }, i) => ({
      imageId,
      categoryId,
      bbox,
      segmentation,
      score: 1 - i / 1e4,
    }));
  for (const iouType of ['bbox', 'segm'] as const) {
    const { stats } = evaluateCoco({ groundTruth: dataset, detections, iouType });
    assert.ok(stats.AP > 0.999, `${iouType} AP ${stats.AP}`);
  }
});

test('neither the data set nor the detections are changed', () => {
  const groundTruth = scene([object(1, 0, 0)]);
  const detections = [found(0.5, 0, 0), found(0.9, 0, 0)];
  const before = JSON.stringify([groundTruth, detections]);
  evaluateCoco({ groundTruth, detections, iouType: 'bbox' });
  assert.equal(JSON.stringify([groundTruth, detections]), before);
});

describe('the table is the one that pycocotools prints', () => {
  test('masks', () => {
    assert.equal(
      formatCocoTable(evaluateRecorded('val2014-100-segm')),
      `\
 Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.320
 Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=100 ] = 0.562
 Average Precision  (AP) @[ IoU=0.75      | area=   all | maxDets=100 ] = 0.299
 Average Precision  (AP) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = 0.387
 Average Precision  (AP) @[ IoU=0.50:0.95 | area=medium | maxDets=100 ] = 0.310
 Average Precision  (AP) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = 0.327
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=  1 ] = 0.268
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets= 10 ] = 0.415
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.417
 Average Recall     (AR) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = 0.469
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=medium | maxDets=100 ] = 0.377
 Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets=100 ] = 0.381`,
    );
  });
  test('keypoints', () => {
    assert.equal(
      formatCocoTable(evaluateRecorded('kp-stress-keypoints')),
      `\
 Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets= 20 ] = 0.203
 Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets= 20 ] = 0.321
 Average Precision  (AP) @[ IoU=0.75      | area=   all | maxDets= 20 ] = 0.213
 Average Precision  (AP) @[ IoU=0.50:0.95 | area=medium | maxDets= 20 ] = 0.399
 Average Precision  (AP) @[ IoU=0.50:0.95 | area= large | maxDets= 20 ] = 0.139
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets= 20 ] = 0.487
 Average Recall     (AR) @[ IoU=0.50      | area=   all | maxDets= 20 ] = 0.647
 Average Recall     (AR) @[ IoU=0.75      | area=   all | maxDets= 20 ] = 0.500
 Average Recall     (AR) @[ IoU=0.50:0.95 | area=medium | maxDets= 20 ] = 0.471
 Average Recall     (AR) @[ IoU=0.50:0.95 | area= large | maxDets= 20 ] = 0.503`,
    );
  });
  test('numbers halfway between two thousandths go to the even one, as Python rounds', () => {
    const result = boxes([object(1, 0, 0)], [found(0.9, 0, 0)]);
    const line = (AP: number) =>
      formatCocoTable({ ...result, stats: { ...result.stats, AP } })
        .split('\n')[0]!
        .slice(-5);
    // 0.0625 and 0.1875 are exact in binary; Python's format gives 0.062 and 0.188.
    assert.deepEqual([line(0.0625), line(0.1875), line(0.0634)], ['0.062', '0.188', '0.063']);
  });
});

describe('what cannot be evaluated is refused with the reason', () => {
  const refuses = (code: string, message: RegExp, action: () => unknown) => {
    const error = inputErrorOf(action);
    assert.equal(error.code, code);
    assert.match(error.message, message);
  };
  const one = [object(1, 0, 0)];

  test('detections of other images, without a score, or without what is compared', () => {
    refuses('results-invalid', /detections\[1\]: image 77 is not in the ground truth/, () =>
      boxes(one, [found(0.5, 0, 0), found(0.5, 0, 0, 20, { imageId: 77 })]),
    );
    refuses('results-invalid', /detections\[0\]: score must be a number/, () => boxes(one, [found(Number.NaN, 0, 0)]));
    refuses('results-invalid', /detections\[0\]: bbox is missing/, () =>
      boxes(one, [{ imageId: 1, categoryId: 1, score: 1 }]),
    );
    refuses('results-invalid', /detections\[0\]: keypoints is missing/, () =>
      evaluateCoco({ groundTruth: scene(one), detections: [found(1, 0, 0)], iouType: 'keypoints' }),
    );
  });
  test('annotations without a mask, named by their id, even where nothing was detected', () => {
    for (const detections of [[], [found(1, 0, 0)]]) {
      refuses('annotation-invalid', /annotation 1: segmentation is missing/, () =>
        evaluateCoco({ groundTruth: scene(one), detections, iouType: 'segm' }),
      );
    }
  });
  test('another number of keypoints than sigmas', () => {
    refuses('annotation-invalid', /a detection has 2 of them, but there are sigmas for 17/, () =>
      evaluateCoco({
        groundTruth: scene([object(1, 0, 0, 20, { keypoints: new Array<number>(51).fill(1) })]),
        detections: [found(1, 0, 0, 20, { keypoints: [1, 1, 2, 3, 3, 2] })],
        iouType: 'keypoints',
      }),
    );
  });
  test('parameters that make no sense', () => {
    refuses('usage', /params\.imageIds has 5/, () => boxes(one, [], { imageIds: [5] }));
    refuses('usage', /params\.categoryIds has 9/, () => boxes(one, [], { categoryIds: [9] }));
    refuses('usage', /params\.iouThresholds must be 1 to 32 numbers, got 33 of them/, () =>
      boxes(one, [], { iouThresholds: new Array<number>(33).fill(0.5) }),
    );
    refuses('usage', /params\.maxDetections must be whole numbers above 0, got 0/, () =>
      boxes(one, [], { maxDetections: [0] }),
    );
    refuses('usage', /params\.areaRanges must be ranges with min <= max/, () =>
      boxes(one, [], { areaRanges: [{ name: 'all', min: 2, max: 1 }] }),
    );
  });
});
