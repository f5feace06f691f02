import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Annotation, boxXywh, DataIssueList, networkSize } from '@goshawk/core';
import fc from 'fast-check';
import { leftOutBecause, type ObjectNeeds, selectObjects } from './select-objects.js';
import { boxInView } from './target.js';

const image = { id: 1, fileName: 'a.jpg', width: 2000, height: 1000 };
const object: Annotation = {
  id: 1,
  imageId: 1,
  categoryId: 1,
  bbox: boxXywh(1000, 10, 20, 20),
  area: 400,
  isCrowd: false,
  segmentation: { kind: 'polygons', polygons: [[1000, 10, 1020, 10, 1020, 30]] },
};
const reason = (more: Partial<Annotation>, needs: ObjectNeeds = {}) =>
  leftOutBecause({ ...object, ...more }, image, needs);

test('each reason to leave an object out, and what asks for it', () => {
  assert.equal(reason({}), undefined);
  assert.equal(reason({ isCrowd: true }), 'crowd');
  assert.equal(reason({ isCrowd: true }, { dropCrowds: false }), undefined);
  assert.equal(reason({ isDifficult: true }), 'difficult');
  assert.equal(reason({ bbox: boxXywh(1000, 10, 1e-9, 20) }), 'box-vanishes');
  assert.equal(reason({ bbox: boxXywh(1000, 10, 1, 20) }), undefined);
  assert.equal(reason({ bbox: boxXywh(1000, 10, 1, 20) }, { legacyPlusOne: true }), 'box-small');
  assert.equal(reason({ area: 0 }, { legacyPlusOne: true }), 'box-small');
  const nothing = { kind: 'rle', rle: { size: [1000, 2000], counts: Uint32Array.of(2_000_000) } } as const;
  for (const segmentation of [undefined, { kind: 'polygons', polygons: [] } as const, nothing]) {
    assert.equal(reason({ segmentation }, { masks: true }), 'mask-missing');
    assert.equal(reason({ segmentation }, { polygons: true }), 'mask-missing');
    assert.equal(reason({ segmentation }), undefined);
  }
});

test('what is kept when a data set is opened has a box in every view without a window', () => {
  const length = fc.oneof(
    fc.integer({ min: -9000, max: 3500 }).map((power) => 10 ** (power / 1000)),
    fc.integer({ min: 0, max: 2000 }).map((above) => 1 + above * 1e-6),
  );
  const place = (end: number) => fc.integer({ min: -10_000, max: end * 1000 }).map((value) => value / 1000);
  const box = fc.tuple(place(2010), place(1010), length, length);
  const view = fc.record({
    flip: fc.boolean(),
    legacyPlusOne: fc.boolean(),
    minSize: fc.integer({ min: 4, max: 3000 }),
  });
  let kept = 0;
  fc.assert(
    fc.property(box, view, ([x, y, width, height], { flip, legacyPlusOne, minSize }) => {
      const annotation = { ...object, bbox: boxXywh(x, y, width, height), area: width * height };
      if (leftOutBecause(annotation, image, { legacyPlusOne }) !== undefined) return;
      kept++;
      const size = networkSize(image.width, image.height, 'torchvision', { minSize, maxSize: 8000 });
      assert.ok(boxInView(annotation, image, { size, flip, legacyPlusOne }), `${annotation.bbox}`);
    }),
    { numRuns: 5000 },
  );
  assert.ok(kept > 500, `${kept}`);
});

test('one issue says how many objects a reason leaves out, and which', () => {
  const annotations = [1, 2, 3, 4, 5, 6, 7].map((id) => ({ ...object, id, isCrowd: id > 1 }));
  const issues = new DataIssueList('train.json');
  const dataset = { images: [image], annotations, categories: [{ id: 1, name: 'thing' }] };
  const { byImage, leftOut } = selectObjects(dataset, { purpose: 'training' }, issues);
  assert.deepEqual([byImage.get(1)!.length, leftOut], [1, { crowd: 6 }]);
  assert.match(
    issues.issues[0]!.message,
    /^train\.json: 6 of 7 objects \(annotation ids 2, 3, 4, 5, 6, \.\.\.\) are left out of training, marked as crowd/,
  );
  const silent = new DataIssueList('val.json');
  selectObjects(dataset, { purpose: 'evaluation' }, silent);
  assert.deepEqual(silent.issues, []);
});
