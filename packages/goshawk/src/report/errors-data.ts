// The part of a report that tells where the detector errs.
import {
  type CocoEvaluation,
  type ConfusedPair,
  type Dataset,
  type ScoreCurve,
  type ScoreCurves,
  type TideExample,
  tideErrors,
} from '@goshawk/core';
import type { ErrorFigures } from './error-figures.js';
import { keptScore } from './page/packed-detections.js';
import type { CurveData, ErrorsData, ThresholdsData, TideTypeData } from './page/report-data.js';
import { HIGHEST_SCORE, onStep, STEP } from './page/thresholds.js';
import type { Counted, ReportPictures } from './report-pictures.js';

/** What a report keeps of what its numbers count, or shows first. */
export interface KeptErrors {
  /** Of each cell of the confusion matrix the worst: of those the pictures come first. */
  readonly pairs: readonly ConfusedPair[];
  /** Of each kind the worst. */
  readonly examples: readonly TideExample[];
}

// So many of all cells together, and of each kind of TIDE's errors.
const MOST_PAIRS = 40_000;
const PER_CELL = [2000, 500, 200, 50, 10, 3, 1];
const PER_KIND = 500;

export function keptErrors({ confusion, tide }: ErrorFigures): KeptErrors {
  const cells = grouped(confusion.pairs, ({ truth, found }) => `${truth} ${found}`);
  const count = (limit: number): number =>
    [...cells.values()].reduce((sum, pairs) => sum + Math.min(limit, pairs.length), 0);
  const limit = PER_CELL.find((own) => count(own) <= MOST_PAIRS) ?? PER_CELL.at(-1)!;
  const kinds = grouped(tide.examples, ({ type }) => type);
  return {
    pairs: [...cells.values()].flatMap((pairs) => worst(pairs, limit)),
    examples: [...kinds.values()].flatMap((examples) => worst(examples, PER_KIND)),
  };
}

/** Surest detections and largest objects first. */
export function worst<Item extends Counted>(items: readonly Item[], limit: number): Item[] {
  const weight = ({ detection, object }: Item): number => detection?.score ?? object!.area;
  return [...items].sort((a, b) => weight(b) - weight(a)).slice(0, limit);
}

export interface ErrorsDataInput {
  readonly figures: ErrorFigures;
  readonly evaluation: CocoEvaluation;
  readonly kept: KeptErrors;
  readonly pictures: ReportPictures;
}

export function errorsData({ figures, evaluation, kept, pictures }: ErrorsDataInput): ErrorsData {
  const { confusion, tide, curves } = figures;
  const perCategory = new Map(evaluation.perCategory.map((own) => [own.categoryId, own]));
  const { categories } = confusion;
  const classes = categories.map(({ id }) => {
    const { groundTruths = 0, AP = -1, AP50 = -1, AP75 = -1, AR = -1 } = perCategory.get(id) ?? {};
    return { objects: groundTruths, AP, AP50, AP75, AR };
  });
  return {
    iouType: figures.iouType,
    classes,
    thresholds: thresholdsData(
      curves,
      categories.map(({ id }) => id),
    ),
    confusion: {
      scoreThreshold: Math.max(confusion.scoreThreshold, pictures.lowestScore),
      iouThreshold: confusion.iouThreshold,
      lowestScore: pictures.lowestScore,
    },
    tide: {
      foreground: tide.foreground,
      background: tide.background,
      ap: tide.ap,
      types: tideErrors.map(
        (type): TideTypeData => ({
          type,
          count: tide.counts[type],
          loss: tide.losses[type],
          progressiveLoss: tide.progressiveLosses[type],
          examples: kept.examples.filter((one) => one.type === type).map((one) => pictures.pair(one)),
        }),
      ),
      falsePositiveLoss: tide.falsePositiveLoss,
      falseNegativeLoss: tide.falseNegativeLoss,
    },
  };
}

/** Places of the pictures in which the confusion matrix has right pairs alone, most of them first. */
export function goodPictures({ confusion }: ErrorFigures, dataset: Dataset): number[] {
  const right = new Map<number, number>();
  const wrong = new Set<number>();
  for (const { image, truth, found } of confusion.pairs) {
    if (truth === found) right.set(image.id, (right.get(image.id) ?? 0) + 1);
    else wrong.add(image.id);
  }
  return dataset.images
    .flatMap(({ id }, place) => (right.has(id) && !wrong.has(id) ? [{ place, count: right.get(id)! }] : []))
    .sort((a, b) => b.count - a.count)
    .map(({ place }) => place);
}

const OVERALL_POINTS = 300;
const CLASS_POINTS = 60;
// More lines than that are not told apart: of the others the table by class has the best scores.
const MOST_LINES = 8;

function thresholdsData({ iouThreshold, overall, perCategory }: ScoreCurves, order: readonly number[]): ThresholdsData {
  const curves = new Map(perCategory.map(({ category, curve }) => [category.id, curve]));
  const drawn = order
    .flatMap((id, category) => {
      const curve = curves.get(id);
      return curve && curve.score.length > 0 ? [{ category, curve }] : [];
    })
    .sort((a, b) => b.curve.objects - a.curve.objects)
    .slice(0, order.length > 1 ? MOST_LINES : 0);
  return {
    iouThreshold,
    overall: curveData(overall, OVERALL_POINTS),
    best: order.map((id) => curves.get(id)?.best ?? null),
    drawn: drawn.map(({ category, curve }) => ({ category, curve: curveData(curve, CLASS_POINTS) })),
  };
}

/** Every so many points of a curve, among them its ends, its best, and what holds at each step of a slider. */
function curveData(curve: ScoreCurve, most: number): CurveData {
  const { length } = curve.score;
  const best = curve.best === undefined ? -1 : curve.score.indexOf(curve.best.score);
  const chosen = new Set(
    Array.from({ length: Math.min(most, length) }, (_, i) => evenPlace(i, Math.min(most, length), length)),
  );
  if (best >= 0) chosen.add(best);
  let place = length - 1;
  for (let score = STEP; score <= HIGHEST_SCORE; score = onStep(score + STEP)) {
    while (place >= 0 && curve.score[place]! < score) place--;
    if (place >= 0) chosen.add(place);
  }
  const places = [...chosen].sort((a, b) => a - b);
  const of = (values: Float64Array): number[] => places.map((at) => Number(values[at]!.toFixed(4)));
  return {
    score: places.map((at) => keptScore(curve.score[at]!)),
    precision: of(curve.precision),
    recall: of(curve.recall),
    f1: of(curve.f1),
    ...(curve.best && { best: curve.best }),
  };
}

function evenPlace(i: number, count: number, length: number): number {
  return count <= 1 ? 0 : Math.round((i * (length - 1)) / (count - 1));
}

function grouped<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}
