import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { boxXywh, type Dataset, type Detection, evaluateCoco, evenlySpaced } from '@goshawk/core';
import { evaluationHints, evaluationParams } from './evaluation-params.js';

const parse = (options: Parameters<typeof evaluationParams>[0], keypointCount?: number) =>
  evaluationParams(options, { iouType: keypointCount === undefined ? 'bbox' : 'keypoints', keypointCount });

describe('options of an evaluation', () => {
  test('that are not given leave the defaults', () => assert.deepEqual(parse({}), {}));

  test('are words, apart or with commas', () => {
    const expected = { maxDetections: [1, 10, 300], statsMaxDetections: 300 };
    assert.deepEqual(parse({ maxDetections: ['1', '10', '300'] }), expected);
    assert.deepEqual(parse({ maxDetections: ['1,10', '300'] }), expected);
    assert.deepEqual(parse({ iouThresholds: ['0.5,', '.75'] }), { iouThresholds: [0.5, 0.75] });
  });

  test('thresholds with a step are those of the default, bit for bit', () => {
    assert.deepEqual(parse({ iouThresholds: ['0.5:0.95:0.05'] }).iouThresholds, evenlySpaced(0.5, 0.95, 10));
    assert.deepEqual(parse({ iouThresholds: ['0.2:0.4:0.1', '0.5'] }).iouThresholds?.length, 4);
  });

  test('area ranges are square pixels or sides, open at the end, besides all', () => {
    const all = { name: 'all', min: 0, max: 1e10 };
    assert.deepEqual(parse({ areaRanges: ['tiny=0:16^2', 'rest=256:'] }).areaRanges, [
      all,
      { name: 'tiny', min: 0, max: 256 },
      { name: 'rest', min: 256, max: 1e10 },
    ]);
    assert.deepEqual(parse({ areaRanges: ['big=96^2:', 'all=4:'] }).areaRanges, [
      { name: 'all', min: 4, max: 1e10 },
      { name: 'big', min: 9216, max: 1e10 },
    ]);
  });

  test('sigmas are one for each keypoint, or one for all', () => {
    assert.deepEqual(parse({ sigmas: ['0.05,0.1'] }, 2), { oksSigmas: [0.05, 0.1] });
    assert.deepEqual(parse({ sigmas: ['0.05'] }, 4), { oksSigmas: [0.05, 0.05, 0.05, 0.05] });
    assert.deepEqual(parse({ sigmas: ['0.05'] }), {});
    assert.throws(() => parse({ sigmas: ['0.1', '0.2'] }, 4), {
      code: 'usage',
      message:
        '--sigmas 0.1 0.2: expected 4 numbers, one for each keypoint, or one for all: write for example --sigmas 0.05 0.05 0.1 0.1',
    });
  });

  test('of no sense are refused by name, with an example', () => {
    const cases: [Parameters<typeof parse>[0], RegExp][] = [
      [{ maxDetections: ['0'] }, /^--max-detections 0: expected a whole number from 1/],
      [{ maxDetections: ['10', '1'] }, /^--max-detections 10 1: expected one to three rising numbers/],
      [{ maxDetections: ['1', '2', '3', '4'] }, /^--max-detections 1 2 3 4: expected one to three/],
      [{ iouThresholds: ['50'] }, /^--iou-thresholds 50: expected 1 to 32 rising numbers above 0 up to 1/],
      [{ iouThresholds: ['0.5:0.9:0.3'] }, /^--iou-thresholds/],
      [{ iouThresholds: ['0.01:0.99:0.01'] }, /^--iou-thresholds/],
      [{ iouThresholds: ['0.5', 'nan'] }, /^--iou-thresholds/],
      [{ areaRanges: ['small'] }, /^--area-ranges small: expected NAME=FROM:TO in square pixels/],
      [{ areaRanges: ['a=5:4'] }, /^--area-ranges a=5:4/],
      [{ areaRanges: ['a=1:2', 'a=2:3'] }, /^--area-ranges a=1:2 a=2:3: expected each name once/],
    ];
    for (const [options, message] of cases) assert.throws(() => parse(options), { name: 'InputError', message });
  });
});

test('a hint says what the limit left out, and how to count it', () => {
  const boxes = Array.from({ length: 30 }, (_, i) => boxXywh(10 * i, 0, 8, 8));
  const groundTruth: Dataset = {
    images: [1, 2].map((id) => ({ id, fileName: `${id}.png`, width: 300, height: 8 })),
    categories: [{ id: 1, name: 'pig' }],
    annotations: boxes.map((bbox, i) => ({ id: i + 1, imageId: 1, categoryId: 1, bbox, area: 64, isCrowd: false })),
  };
  const detections: Detection[] = [1, 2].flatMap((imageId) =>
    boxes.slice(0, 30 - 10 * (imageId - 1)).map((bbox) => ({ imageId, categoryId: 1, bbox, score: 0.5 })),
  );
  const hints = (words: string[]) => {
    const params = evaluationParams({ maxDetections: words }, { iouType: 'bbox' });
    return evaluationHints(evaluateCoco({ groundTruth, detections, iouType: 'bbox', params }), {});
  };
  assert.deepEqual(hints(['1', '12']), [
    'bbox: the limit of 12 detections of a category a picture left out 26 in 2 pictures, where up to 30 objects of a category are in a picture: --max-detections 1 30 counts all',
  ]);
  assert.deepEqual(hints(['25']), [
    'bbox: the limit of 25 detections of a category a picture left out 5 in 1 picture, where up to 30 objects of a category are in a picture: --max-detections 30 counts all',
  ]);
  assert.deepEqual(hints(['30']), []);
});
