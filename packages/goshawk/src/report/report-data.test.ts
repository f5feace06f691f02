import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { analyseErrors, confusionMatrix, evaluateCoco, scoreCurves, tideErrors } from '@goshawk/core';
import { madeReport } from '../testing/made-report.js';
import { keptErrors } from './errors-data.js';
import { binOf, boxSize } from './page/box-measures.js';
import { pictureList } from './page/picture-lists.js';
import { reportData } from './write-report.js';

const categories = ['cat', 'dog', '猫', 'Füchse'];
const input = madeReport({ pictures: 60, categories });
const { annotations: groundTruth } = input.dataset;
const { detections } = input;
const thumbnails = { fileOf: (id: number) => `report-pictures/${id}.jpg`, count: 60 };
const report = reportData(input, keptErrors(input.errors!), thumbnails);
const errors = report.errors!;

describe('the numbers of a report', () => {
  test('of its classes are those of evaluateCoco', () => {
    const { perCategory, stats } = evaluateCoco({ groundTruth, detections, iouType: 'bbox' });
    assert.deepEqual(report.figures, { bbox: { ...stats } });
    assert.deepEqual(
      errors.classes,
      perCategory.map(({ groundTruths, AP, AP50, AP75, AR }) => ({ objects: groundTruths, AP, AP50, AP75, AR })),
    );
    assert.deepEqual(report.categories, categories);
  });

  test('of its confusion matrix and best thresholds are those of core', () => {
    const { counts } = confusionMatrix({ groundTruth, detections, iouType: 'bbox' });
    const side = categories.length + 1;
    const shown = Array.from({ length: side }, () => new Array<number>(side).fill(0));
    for (const [truth, found, count] of errors.confusion.cells) shown[truth]![found] = count;
    assert.deepEqual(shown, counts);
    const curves = scoreCurves({ groundTruth, detections, iouType: 'bbox' });
    assert.deepEqual(errors.thresholds.overall.best, curves.overall.best);
    assert.deepEqual(
      errors.thresholds.classes.map(({ best }) => best),
      curves.perCategory.map(({ curve }) => curve.best),
    );
  });

  test('of TIDE are those of core', () => {
    const { losses, progressiveLosses, counts, ap } = analyseErrors({ groundTruth, detections, iouType: 'bbox' });
    assert.equal(errors.tide.ap, ap);
    assert.deepEqual(
      errors.tide.types.map(({ type, count, loss, progressiveLoss }) => [type, count, loss, progressiveLoss]),
      tideErrors.map((type) => [type, counts[type], losses[type], progressiveLosses[type]]),
    );
  });

  test('of its data are those of the annotations', () => {
    const [val, train] = report.data;
    const objects = groundTruth.annotations.filter(({ isCrowd }) => !isCrowd);
    assert.equal(val!.objects, objects.length);
    assert.equal(val!.crowds, groundTruth.annotations.length - objects.length);
    assert.deepEqual(
      val!.perClass,
      groundTruth.categories.map(({ id }) => objects.filter(({ categoryId }) => categoryId === id).length),
    );
    for (const { counts, measure } of val!.histograms)
      assert.equal(
        counts.reduce((a, b) => a + b),
        measure === 'perPicture' ? groundTruth.images.length : objects.length,
      );
    assert.equal(
      val!.positions.flat().reduce((a, b) => a + b),
      objects.length,
    );
    assert.deepEqual([val!.isShown, train!.isShown], [true, false]);
  });
});

describe('a number of a report leads to what it counts', () => {
  const entries = (key: string) => pictureList(report, key)!.entries;

  test('in the confusion matrix', () => {
    const background = categories.length;
    for (const [truth, found, count] of errors.confusion.cells) {
      const list = entries(`cell/${truth}/${found}`);
      assert.equal(list.length, count);
      for (const { picture, object, detection } of list) {
        const { objects, detections: own } = report.pictures[picture]!;
        assert.equal(object === undefined ? background : objects[object]![0], truth);
        assert.equal(detection === undefined ? background : own[detection]![0], found);
      }
    }
  });

  test('by kind, the worst first', () => {
    const scores = entries('false').map(
      ({ picture, detection }) => report.pictures[picture]!.detections[detection!]![1],
    );
    assert.ok(scores.length > 5);
    assert.deepEqual(
      scores,
      [...scores].sort((a, b) => b - a),
    );
    const areas = entries('missed').map(({ picture, object }) => {
      const [, , , width, height] = report.pictures[picture]!.objects[object!]!;
      return width * height;
    });
    assert.ok(areas.length > 5);
    assert.deepEqual(
      areas,
      [...areas].sort((a, b) => b - a),
    );
    const counted = ['false', 'missed', 'swapped', 'right'].map((key) => entries(key).length);
    assert.equal(
      counted.reduce((a, b) => a + b),
      errors.confusion.cells.reduce((sum, [, , count]) => sum + count, 0),
    );
  });

  test('in TIDE', () => {
    for (const { type, count } of errors.tide.types) {
      assert.ok(count > 0 && count < 500, type);
      assert.equal(entries(`tide/${type}`).length, count);
    }
  });

  test('in the data', () => {
    const [val] = report.data;
    for (const { measure, counts } of val!.histograms)
      counts.forEach((count, bin) => {
        assert.equal(entries(`${measure}/${bin}`).length, count, `${measure} ${bin}`);
      });
    const size = val!.histograms.find(({ measure }) => measure === 'size')!;
    const bin = size.counts.indexOf(Math.max(...size.counts));
    for (const { picture, object } of entries(`size/${bin}`)) {
      const [, , , width, height] = report.pictures[picture]!.objects[object!]!;
      assert.equal(binOf(boxSize(width, height), size.edges), bin);
    }
    val!.positions.forEach((row, r) => {
      row.forEach((count, c) => {
        assert.equal(entries(`position/${r}/${c}`).length, count);
      });
    });
  });

  test('and a key that there is not leads nowhere', () => {
    assert.equal(pictureList(report, 'nothing/here'), undefined);
  });
});

test('a picture is good where all was found and nothing else', () => {
  const wrong = new Set(
    ['false', 'missed', 'swapped'].flatMap((key) => pictureList(report, key)!.entries.map(({ picture }) => picture)),
  );
  assert.ok(errors.good.length > 0);
  for (const picture of errors.good) assert.ok(!wrong.has(picture));
});

test('of many mistakes the worst of each cell are kept, and the numbers stay whole', () => {
  const many = madeReport({ pictures: 30, categories });
  const { errors: figures } = many;
  const pairs = Array.from({ length: 2000 }, () => figures!.confusion.pairs).flat();
  const { pairs: kept } = keptErrors({ ...figures!, confusion: { ...figures!.confusion, pairs } });
  assert.ok(kept.length <= 40_000 && kept.length > 1000);
  const cells = new Set(pairs.map(({ truth, found }) => `${truth} ${found}`));
  assert.equal(new Set(kept.map(({ truth, found }) => `${truth} ${found}`)).size, cells.size);
});
