import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { boxXywh } from '../boxes/index.js';
import { rleFromCounts } from '../masks/rle.js';
import { parseCoco } from './coco.js';
import { parseCocoResults } from './coco-results.js';
import type { Dataset, Detection } from './dataset.js';
import { formatCoco, formatCocoResults } from './format-coco.js';

const rle = { kind: 'rle', rle: rleFromCounts([4, 4, 8], [4, 4]) } as const;
const dataset: Dataset = {
  images: [
    { id: 20180000001, fileName: 'b/ö.png', width: 4, height: 4 },
    { id: 3, fileName: 'a.png', width: 64, height: 48 },
  ],
  categories: [
    { id: 90, name: 'cat', supercategory: 'animal', keypoints: ['left_ear', 'right_ear'], skeleton: [[1, 2]] },
    { id: 2, name: 'plain' },
  ],
  annotations: [
    {
      id: 7,
      imageId: 20180000001,
      categoryId: 90,
      bbox: boxXywh(1, 0, 1, 4),
      area: 4,
      isCrowd: true,
      segmentation: rle,
    },
    {
      id: 8,
      imageId: 3,
      categoryId: 90,
      bbox: boxXywh(1.25, 2, 3, 4),
      area: 6,
      isCrowd: false,
      segmentation: { kind: 'polygons', polygons: [[1.25, 2, 4, 2, 4, 6]] },
      keypoints: [1, 2, 2, 0, 0, 0],
      numKeypoints: 1,
    },
    { id: 9, imageId: 3, categoryId: 2, bbox: boxXywh(0, 0, 64, 48), area: 3072, isCrowd: false },
  ],
};

describe('formatCoco', () => {
  test('writes what parseCoco reads back unchanged', () => {
    const { dataset: again, warnings } = parseCoco(formatCoco(dataset), { fileName: 'x.json' });
    assert.deepEqual(warnings, []);
    assert.deepEqual(again, dataset);
  });
  test('writes one entry a line', () => {
    assert.equal(formatCoco(dataset).split('\n').length, 2 + 3 * 2 + 2 + 2 + 3 + 1);
  });
});

describe('formatCocoResults', () => {
  const detections: Detection[] = [
    { imageId: 3, categoryId: 2, score: 0.25, bbox: boxXywh(0, 0, 5, 6) },
    { imageId: 3, categoryId: 90, score: 0.5, keypoints: [1, 2, 2, 3, 4, 2] },
    { imageId: 20180000001, categoryId: 90, score: 0.125, bbox: boxXywh(1, 0, 1, 4), segmentation: rle },
  ];
  test('sorts by picture, then by score, and adds the names', () => {
    const entries = JSON.parse(formatCocoResults(detections, dataset)) as unknown[];
    assert.deepEqual(entries, [
      {
        image_id: 20180000001,
        file_name: 'b/ö.png',
        category_id: 90,
        category_name: 'cat',
        bbox: [1, 0, 1, 4],
        score: 0.125,
        // pycocotools 2.0.11 writes the runs 4, 4, 8 of a 4 x 4 mask as '448'
        segmentation: { size: [4, 4], counts: '448' },
      },
      {
        image_id: 3,
        file_name: 'a.png',
        category_id: 90,
        category_name: 'cat',
        score: 0.5,
        keypoints: [1, 2, 2, 3, 4, 2],
      },
      { image_id: 3, file_name: 'a.png', category_id: 2, category_name: 'plain', bbox: [0, 0, 5, 6], score: 0.25 },
    ]);
  });
  test('writes what parseCocoResults reads back', () => {
    const text = formatCocoResults(detections, dataset);
    const { detections: again, warnings } = parseCocoResults(text, { fileName: 'd.json', dataset });
    assert.deepEqual(warnings, []);
    assert.deepEqual(again, [detections[2], detections[1], detections[0]]);
  });
  test('writes an empty list for no detections', () => {
    assert.equal(formatCocoResults([], dataset), '[]\n');
  });
});
