// TIDE against its definition written plainly, case by case, and against scenes counted by hand.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type BoxXywh, boxXywh } from '../boxes/box.js';
import type { Annotation, Dataset, Detection } from '../formats/dataset.js';
import { boxToRle } from '../masks/polygon-to-rle.js';
import { inputErrorOf } from '../testing/input-error.js';
import { randomScenes } from '../testing/random-scenes.js';
import { analyseErrors, type TideError, tideErrors } from './tide.js';

const [foreground, background] = [0.5, 0.1];

function iou(a: BoxXywh, b: BoxXywh): number {
  const shared = intersection(a, b);
  return shared / (a[2] * a[3] + b[2] * b[3] - shared);
}

function intersection(a: BoxXywh, b: BoxXywh): number {
  const width = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
  return Math.max(0, width) * Math.max(0, height);
}

type Point = [score: number, isRight: boolean];

/** Mean over categories that have objects or points of the mean precision envelope at recalls 0, 0.01, ..., 1. */
function plainAp(points: ReadonlyMap<number, readonly Point[]>, objects: ReadonlyMap<number, number>): number {
  const values: number[] = [];
  for (const [category, list] of points) {
    const count = objects.get(category)!;
    if (count === 0 && list.length === 0) continue;
    const sorted = [...list].sort((a, b) => b[0] - a[0]);
    let sum = 0;
    for (let r = 0; r <= 100; r++) {
      let best = 0;
      for (let end = 1; end <= sorted.length; end++) {
        const right = sorted.slice(0, end).filter(([, isRight]) => isRight).length;
        if (count > 0 && right / count >= r / 100) best = Math.max(best, right / end);
      }
      sum += best;
    }
    values.push((sum / 101) * 100);
  }
  return values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length;
}

interface PlainDetection {
  readonly detection: Detection;
  partner?: Annotation;
  isIgnored: boolean;
  error?: TideError;
  aim?: Annotation;
}

function plainTide(groundTruth: Dataset, detections: readonly Detection[]) {
  const used = new Set<Annotation>();
  const all: PlainDetection[] = [];
  for (const image of groundTruth.images) {
    const here = groundTruth.annotations.filter(({ imageId }) => imageId === image.id);
    const truths = here.filter(({ isCrowd }) => !isCrowd);
    const found = detections
      .filter(({ imageId }) => imageId === image.id)
      .sort((a, b) => b.score - a.score)
      .map((detection): PlainDetection => ({ detection, isIgnored: false }));
    for (const item of found) {
      const free = truths.filter((t) => t.categoryId === item.detection.categoryId && !used.has(t));
      const [first] = free.sort((a, b) => iou(item.detection.bbox!, b.bbox) - iou(item.detection.bbox!, a.bbox));
      if (first === undefined || iou(item.detection.bbox!, first.bbox) < foreground) continue;
      used.add(first);
      item.partner = first;
    }
    for (const item of found) {
      if (item.partner) continue;
      const { categoryId, bbox } = item.detection;
      item.isIgnored = here.some(
        (crowd) =>
          crowd.isCrowd &&
          crowd.categoryId === categoryId &&
          intersection(bbox!, crowd.bbox) / (bbox![2] * bbox![3]) > foreground,
      );
      const byIou = (list: Annotation[]) => [...list].sort((a, b) => iou(bbox!, b.bbox) - iou(bbox!, a.bbox))[0];
      const same = byIou(truths.filter((t) => t.categoryId === categoryId));
      const other = byIou(truths.filter((t) => t.categoryId !== categoryId));
      const taken = byIou(truths.filter((t) => t.categoryId === categoryId && used.has(t)));
      const any = byIou(truths);
      const of = (t: Annotation | undefined) => (t === undefined ? Number.NaN : iou(bbox!, t.bbox));
      if (truths.length === 0) item.error = 'background';
      else if (of(same) >= background && of(same) <= foreground) [item.error, item.aim] = ['localization', same!];
      else if (of(other) >= foreground) [item.error, item.aim] = ['classification', other!];
      else if (of(taken) >= foreground) item.error = 'duplicate';
      else if (of(any) <= background) item.error = 'background';
      else item.error = 'both';
    }
    all.push(...found);
  }
  const truths = groundTruth.annotations.filter(({ isCrowd }) => !isCrowd);
  const mender = new Map<Annotation, PlainDetection>();
  for (const item of all) {
    if (item.aim === undefined || used.has(item.aim)) continue;
    const rival = mender.get(item.aim);
    if (rival === undefined || item.detection.score > rival.detection.score) mender.set(item.aim, item);
  }
  const missed = truths.filter((t) => !used.has(t) && !mender.has(t));
  const ids = groundTruth.categories.map(({ id }) => id);
  const objectsWithout = (left: readonly Annotation[]) =>
    new Map(ids.map((id) => [id, truths.filter((t) => t.categoryId === id && !left.includes(t)).length]));
  const apWith = (type?: TideError | 'perfect', objects = objectsWithout(type === 'missed' ? missed : [])) => {
    const points = new Map(ids.map((id) => [id, [] as Point[]]));
    for (const item of all) {
      const { categoryId, score } = item.detection;
      if (type !== undefined && item.error === type) {
        if (item.aim && mender.get(item.aim) === item) points.get(item.aim.categoryId)!.push([score, true]);
      } else if (!item.isIgnored) {
        const isRight = item.partner !== undefined;
        points.get(categoryId)!.push([type === 'perfect' ? Number(isRight) : score, isRight]);
      }
    }
    return plainAp(points, objects);
  };
  const ap = apWith();
  return {
    ap,
    losses: tideErrors.map((type) => Math.max(0, apWith(type) - ap)),
    counts: tideErrors.map((type) =>
      type === 'missed' ? missed.length : all.filter(({ error }) => error === type).length,
    ),
    falsePositiveLoss: Math.max(0, apWith('perfect') - ap),
    falseNegativeLoss: Math.max(0, apWith(undefined, objectsWithout(truths.filter((t) => !used.has(t)))) - ap),
  };
}

describe('TIDE against its definition', () => {
  test('200 generated sets of pictures: AP, losses, counts', () => {
    const seen = new Map<TideError, number>(tideErrors.map((type) => [type, 0]));
    for (let seed = 1; seed <= 200; seed++) {
      const { groundTruth, detections } = randomScenes(seed);
      const plain = plainTide(groundTruth, detections);
      const ours = analyseErrors({ groundTruth, detections, iouType: 'bbox' });
      const close = (a: number, b: number, what: string) =>
        assert.ok(Math.abs(a - b) < 1e-9, `${seed} ${what}: ${a}, ${b}`);
      close(ours.ap, plain.ap, 'ap');
      close(ours.falsePositiveLoss, plain.falsePositiveLoss, 'false positives');
      close(ours.falseNegativeLoss, plain.falseNegativeLoss, 'false negatives');
      tideErrors.forEach((type, i) => {
        close(ours.losses[type], plain.losses[i]!, type);
        assert.equal(ours.counts[type], plain.counts[i], `${seed} ${type}`);
        seen.set(type, seen.get(type)! + ours.counts[type]);
      });
    }
    // Each kind has to occur for the comparison to say something about it.
    for (const [type, count] of seen) assert.ok(count > 50, `${type}: ${count}`);
  });

  test('masks that are boxes give what the boxes give', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { groundTruth, detections } = randomScenes(seed);
      const masked = <Item extends { bbox?: BoxXywh }>(item: Item) => ({
        ...item,
        segmentation: { kind: 'rle' as const, rle: boxToRle(item.bbox!, [120, 160]) },
      });
      const { examples: _, ...boxes } = analyseErrors({ groundTruth, detections, iouType: 'bbox' });
      const { examples: __, ...masks } = analyseErrors({
        groundTruth: { ...groundTruth, annotations: groundTruth.annotations.map(masked) },
        detections: detections.map(masked),
        iouType: 'segm',
      });
      assert.deepEqual(masks, boxes);
    }
  });

  test('progressive losses add up to all that is lost', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const { groundTruth, detections } = randomScenes(seed);
      const { ap, progressiveLosses, perCategory, counts } = analyseErrors({
        groundTruth,
        detections,
        iouType: 'bbox',
      });
      const sum = tideErrors.reduce((total, type) => total + progressiveLosses[type], 0);
      // All that is left are right detections of all objects that are left: none where every object was missed.
      const objects = groundTruth.annotations.filter(({ isCrowd }) => !isCrowd).length;
      assert.ok(Math.abs(ap + sum - (counts.missed === objects ? 0 : 100)) < 1e-9, `${seed}: ${ap} + ${sum}`);
      for (const type of tideErrors) {
        assert.equal(
          perCategory.reduce((total, category) => total + category.counts[type], 0),
          counts[type],
        );
      }
    }
  });
});

describe('one error of each kind', () => {
  const image = { id: 1, fileName: 'a.jpg', width: 200, height: 200 };
  const categories = [
    { id: 1, name: 'cat' },
    { id: 2, name: 'dog' },
  ];
  const cat: Annotation = {
    id: 7,
    imageId: 1,
    categoryId: 1,
    bbox: boxXywh(20, 20, 40, 40),
    area: 1600,
    isCrowd: false,
  };
  const at = (x: number, categoryId: number, score: number): Detection => ({
    imageId: 1,
    categoryId,
    score,
    bbox: boxXywh(x, 20, 40, 40),
  });
  const analyse = (detections: readonly Detection[], annotations: readonly Annotation[] = [cat]) =>
    analyseErrors({ groundTruth: { images: [image], annotations, categories }, detections, iouType: 'bbox' });
  const typesOf = (detections: readonly Detection[]) => analyse(detections).examples.map(({ type }) => type);

  test('a dog on the cat is classification, and the cat is not missed: it would be found', () => {
    const { losses, examples } = analyse([at(22, 2, 0.9)]);
    assert.deepEqual(
      examples.map(({ type, object }) => [type, object?.id]),
      [['classification', 7]],
    );
    assert.equal(losses.classification, 100);
    assert.equal(losses.missed, 0);
  });

  test('a third of the cat is localization', () => assert.deepEqual(typesOf([at(42, 1, 0.9)]), ['localization']));

  test('a dog on a third of the cat is both, and the cat is missed', () => {
    assert.deepEqual(typesOf([at(42, 2, 0.9)]), ['both', 'missed']);
  });

  test('the cat found twice', () => assert.deepEqual(typesOf([at(20, 1, 0.9), at(22, 1, 0.8)]), ['duplicate']));

  test('nothing there', () => assert.deepEqual(typesOf([at(20, 1, 0.9), at(150, 1, 0.8)]), ['background']));

  test('a detection in a crowd of its category costs nothing', () => {
    const { ap, losses } = analyse(
      [at(20, 1, 0.5), at(120, 1, 0.9)],
      [cat, { ...cat, id: 8, bbox: boxXywh(100, 0, 100, 100), isCrowd: true }],
    );
    assert.equal(ap, 100);
    assert.equal(losses.background, 0);
  });

  test('thresholds that make no sense are refused', () => {
    const input = {
      groundTruth: { images: [image], annotations: [cat], categories },
      detections: [],
      iouType: 'bbox',
    } as const;
    assert.equal(
      inputErrorOf(() => analyseErrors(input, { foreground: 0.1, background: 0.5 })).message,
      'analyseErrors: background and foreground must be 0 <= background <= foreground <= 1, got 0.5 and 0.1: correct them',
    );
    assert.match(inputErrorOf(() => analyseErrors(input, { perPicture: 0 })).message, /perPicture/);
  });
});
