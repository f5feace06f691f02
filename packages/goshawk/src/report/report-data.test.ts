import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { analyseErrors, boxXywh, confusionMatrix, evaluateCoco, scoreCurves, tideErrors } from '@goshawk/core';
import { madeReport } from '../testing/made-report.js';
import { measureErrors } from './error-figures.js';
import { keptErrors } from './errors-data.js';
import { binOf, boxSize } from './page/box-measures.js';
import { confusionCells } from './page/confusion.js';
import { openReport } from './page/open-report.js';
import { pictureList } from './page/picture-lists.js';
import { firstThresholds, IOU, onStep } from './page/thresholds.js';
import { ReportPictures } from './report-pictures.js';
import { reportData } from './write-report.js';

const categories = ['cat', 'dog', '猫', 'Füchse'];
const input = madeReport({ pictures: 60, categories });
const { annotations: groundTruth } = input.dataset;
const { detections } = input;
const thumbnails = { fileOf: (id: number) => `report-pictures/${id}.jpg`, count: 60 };
const stored = reportData(input, keptErrors(input.errors!), thumbnails);
const report = openReport(stored);
const errors = report.errors!;
const cells = confusionCells(report, firstThresholds(errors.confusion));

/** `counts[truth][found]`, as core has them. */
function countsOf(list: ReturnType<typeof confusionCells>, side: number): number[][] {
  const counts = Array.from({ length: side }, () => new Array<number>(side).fill(0));
  for (const [truth, found, count] of list) counts[truth]![found] = count;
  return counts;
}

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
    assert.deepEqual(countsOf(cells, categories.length + 1), counts);
    const curves = scoreCurves({ groundTruth, detections, iouType: 'bbox' });
    assert.deepEqual(errors.thresholds.overall.best, curves.overall.best);
    assert.deepEqual(
      errors.thresholds.best,
      curves.perCategory.map(({ curve }) => curve.best ?? null),
    );
  });

  test('of its curves hold at each step of the slider', () => {
    const { overall, perCategory } = scoreCurves({ groundTruth, detections, iouType: 'bbox' });
    assert.equal(errors.thresholds.drawn.length, categories.length);
    const shown = [
      { whole: overall, kept: errors.thresholds.overall },
      ...errors.thresholds.drawn.map(({ category, curve }) => ({ whole: perCategory[category]!.curve, kept: curve })),
    ];
    for (const { whole, kept } of shown)
      for (let least = 0.01; least <= 0.99; least = onStep(least + 0.01)) {
        const [place, at] = [whole, kept].map(({ score }) => score.findLastIndex((own: number) => own >= least));
        assert.equal(at! < 0, place! < 0);
        if (place! < 0) continue;
        for (const name of ['precision', 'recall', 'f1'] as const)
          assert.equal(kept[name][at!], Number(whole[name][place!]!.toFixed(4)), `${name} from ${least}`);
      }
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
    for (const [truth, found, count] of cells) {
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
      cells.reduce((sum, [, , count]) => sum + count, 0),
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
  const good = pictureList(report, 'good')!.entries;
  assert.ok(good.length > 0);
  for (const { picture } of good) assert.ok(!wrong.has(picture));
});

test('what a picture shows was found in it: every class, score and box, to a tenth of a pixel', () => {
  const order = new Map(groundTruth.categories.map(({ id }, k) => [id, k]));
  for (const [i, { id }] of groundTruth.images.entries()) {
    const own = detections.filter(({ imageId, score }) => imageId === id && score >= errors.confusion.lowestScore);
    const expected = own
      .sort((a, b) => b.score - a.score)
      .map(({ categoryId, score, bbox }) => [order.get(categoryId), score, ...bbox!]);
    const shown = report.pictures[i]!.detections.filter(([, score]) => score >= errors.confusion.lowestScore);
    assert.equal(shown.length, expected.length);
    assert.equal(report.pictures[i]!.detections, report.pictures[i]!.detections);
    for (const [d, [category, score, ...box]] of shown.entries()) {
      assert.equal(category, expected[d]![0]);
      assert.equal(report.pictures[i]!.detectionCategories[d], category);
      for (const [side, value] of [score, ...box].entries())
        assert.ok(Math.abs(value - expected[d]![side + 1]!) <= (side === 0 ? 1e-4 : 0.051), `${id} ${d} ${side}`);
    }
  }
});

describe('the confusion matrix of a page', () => {
  test("equals core's at every step of its sliders, on 40 made sets", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const made = madeReport({ pictures: 12, categories, seed });
      const opened = openReport(reportData(made, keptErrors(made.errors!), thumbnails));
      const data = { groundTruth: made.dataset.annotations, detections: made.detections, iouType: 'bbox' } as const;
      for (
        let iouThreshold: number = IOU.min;
        iouThreshold <= IOU.max;
        iouThreshold = onStep(iouThreshold + IOU.step)
      ) {
        const scoreThreshold = onStep(0.05 + ((seed * 7 + iouThreshold * 100) % 90) / 100);
        const { counts } = confusionMatrix(data, { scoreThreshold, iouThreshold });
        const shown = confusionCells(opened, { scoreThreshold, iouThreshold });
        assert.deepEqual(countsOf(shown, categories.length + 1), counts, `${seed}: ${scoreThreshold}, ${iouThreshold}`);
      }
    }
  });

  test('has scores and overlaps on either side of a step where they are', () => {
    const made = madeReport({ pictures: 1, categories });
    const bbox = boxXywh(10, 10, 100, 100);
    const object = { id: 1, imageId: 1, categoryId: 1, bbox, area: 10_000, isCrowd: false };
    // 0.3 is not 3 times 0.1 in binary numbers, and the width that overlaps to 0.45 is next to one that does not quite.
    for (const score of [0.3, 0.1 + 0.2, 0.29999999999999993, 0.95, 0.05])
      for (const width of [45, 44.999999999, 45.0000000001, 30, 29.99999999]) {
        const groundTruth = { ...made.dataset.annotations, annotations: [object] };
        const found = [{ imageId: 1, categoryId: 2, score, bbox: boxXywh(10, 10, width, 100) }];
        const figures = measureErrors(groundTruth, found, 'bbox');
        const dataset = { ...made.dataset, annotations: groundTruth };
        const one = { ...made, dataset, detections: found, errors: figures };
        const opened = openReport(reportData(one, keptErrors(figures), thumbnails));
        for (const scoreThreshold of [0.05, 0.3, 0.31, 0.95])
          for (const iouThreshold of [0.3, 0.45, 0.5]) {
            const { counts } = confusionMatrix(
              { groundTruth, detections: found, iouType: 'bbox' },
              { scoreThreshold, iouThreshold },
            );
            const shown = confusionCells(opened, { scoreThreshold, iouThreshold });
            assert.deepEqual(
              countsOf(shown, categories.length + 1),
              counts,
              `${score}, ${width}: ${scoreThreshold}, ${iouThreshold}`,
            );
          }
      }
  });

  test('leads to its pairs at thresholds that an address names', () => {
    const thresholds = { scoreThreshold: 0.5, iouThreshold: 0.7 };
    const other = confusionCells(report, thresholds);
    assert.notDeepEqual(other, cells);
    for (const [truth, found, count] of other)
      assert.equal(pictureList(report, `cell/${truth}/${found}@0.5,0.7`)!.entries.length, count);
    for (const words of ['2,0.5', '0.5', '0.5,0.05', 'x,y', '0.01,0.5'])
      assert.equal(pictureList(report, `missed@${words}`), undefined, words);
  });

  test('of more detections than are kept begins at the first step from which all are', () => {
    const { annotations: dataset } = input.dataset;
    const overlapping = input.errors!.overlapping;
    const pictures = new ReportPictures({ dataset, detections, counted: [], overlapping, mostDetections: 50 });
    const kept = detections.filter(({ score }) => score >= pictures.lowestScore).length;
    const below = detections.filter(({ score }) => score >= onStep(pictures.lowestScore - 0.01)).length;
    assert.ok(kept <= 50 && below > 50, `${kept}, ${below} from ${pictures.lowestScore}`);
  });
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
