import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { boxXyxy } from '../boxes/index.js';
import { BoxList } from './box-list.js';
import { PolygonMasks } from './polygon-masks.js';

const size = { width: 64, height: 48 };
const boxes = [
  [0, 0, 10, 10],
  [10, 20, 50, 40],
] as const;

const list = () =>
  BoxList.of(boxes, size)
    .withField('labels', Int32Array.of(10, 20))
    .withField('names', ['cup', 'plate'])
    .withField(
      'masks',
      PolygonMasks.of(
        boxes.map(([x1, y1, x2, y2]) => [[x1, y1, x2, y1, x2, y2, x1, y2]]),
        size,
      ),
    );

/** The box around the pixels of a mask, xyxy. */
function around(masks: PolygonMasks, index: number): number[] {
  const { width } = masks.size;
  const places = [...masks.toBitmaps().bitmap(index)].flatMap((value, at) => (value === 0 ? [] : [at]));
  const [xs, ys] = [places.map((at) => at % width), places.map((at) => Math.floor(at / width))];
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs) + 1, Math.max(...ys) + 1];
}

describe('a list of boxes', () => {
  test('gives its numbers as corners or as sizes', () => {
    assert.deepEqual([...BoxList.of([10, 20, 50, 40], size).numbers('xywh')], [10, 20, 40, 20]);
    assert.deepEqual([...BoxList.of([10, 20, 40, 20], size, { mode: 'xywh' }).xyxy], [10, 20, 50, 40]);
    const inclusive = BoxList.of([10, 20, 40, 20], size, { mode: 'xywh', legacyPlusOne: true });
    assert.deepEqual([...inclusive.xyxy], [10, 20, 49, 39]);
    assert.deepEqual([...inclusive.numbers('xywh')], [10, 20, 40, 20]);
    assert.deepEqual([...inclusive.areas()], [800]);
    assert.equal(BoxList.of([], size).length, 0);
    assert.throws(() => BoxList.of([1, 2, 3], size), /3 numbers are no boxes/);
  });

  test('has fields with an entry for each box', () => {
    const { labels, names } = list().fields;
    assert.deepEqual([labels[1], names[0]], [20, 'cup']);
    assert.throws(() => list().withField('scores', [1]), /scores has 1 entries for 2 boxes/);
    const elsewhere = PolygonMasks.of([[], []], { width: 3, height: 3 });
    assert.throws(
      () => list().withField('masks', elsewhere),
      /masks is of a picture of 3 x 3 pixels, the boxes of 64 x 48/,
    );
  });

  test('chooses boxes with their fields', () => {
    const { fields, xyxy, length } = list().select([1, 1]);
    assert.deepEqual([length, [...fields.labels], fields.names], [2, [20, 20], ['plate', 'plate']]);
    assert.deepEqual([...xyxy.subarray(0, 4)], [10, 20, 50, 40]);
    assert.equal(fields.masks.length, 2);
  });

  test('keeps boxes and masks together whatever happens to the picture', () => {
    type List = ReturnType<typeof list>;
    const changes: ((one: List) => List)[] = [
      (one) => one.flip('horizontal'),
      (one) => one.flip('vertical'),
      (one) => one.transpose(),
      (one) => one.resize({ width: 128, height: 24 }),
      (one) => one.crop(boxXyxy(5, 5, 45, 35)),
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...changes), { maxLength: 3 }), (steps) => {
        const changed = steps.reduce((one, step) => step(one), list());
        assert.deepEqual(changed.fields.masks.size, changed.size);
        assert.deepEqual([...changed.fields.labels], [10, 20]);
        for (let i = 0; i < 2; i++) {
          const { width, height } = changed.size;
          const [x1, y1, x2, y2] = changed.box(i);
          if (x2 <= x1 || y2 <= y1) continue;
          const found = around(changed.fields.masks, i);
          for (const [side, value] of [x1, y1, x2, y2].entries())
            assert.ok(Math.abs(found[side]! - value) <= 1, `${found} around ${changed.box(i)} of ${width} x ${height}`);
        }
      }),
    );
  });

  test('mirrors boxes that count their last pixel as the original does', () => {
    const inclusive = BoxList.of([0, 8, 9, 24], size, { legacyPlusOne: true });
    assert.deepEqual([...inclusive.flip('horizontal').xyxy], [54, 8, 63, 24]);
  });

  test('cuts boxes at the borders, and leaves out what is empty then', () => {
    const beyond = BoxList.of([-5, -5, 100, 100, 70, 0, 90, 10], size).withField('labels', [1, 2]);
    assert.deepEqual([...beyond.clip().xyxy], [0, 0, 64, 48, 64, 0, 64, 10]);
    assert.deepEqual(beyond.clip({ removeEmpty: true }).fields.labels, [1]);
  });
});
