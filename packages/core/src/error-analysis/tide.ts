// TIDE: how much average precision each kind of error costs (Bolya, Foley, Hays and Hoffman, "TIDE: A General Toolbox for
// Identifying Object Detection Errors", ECCV 2020), by the rules of its authors' tool, tidecv 1.0.
import { InputError } from '../errors/input-error.js';
import type { Annotation, Category, Detection, ImageRecord } from '../formats/dataset.js';
import { type AnalysisInput, type ExaminedPicture, examinedPictures } from './examined-pictures.js';
import { meanAp, type ScoredPoint } from './mean-ap.js';

/**
 * - classification: lies on an object of another category
 * - localization: on one of its own, but badly
 * - both: badly on an object of another category
 * - duplicate: on an object of its own that a better detection has found
 * - background: on nothing
 * - missed: an object that no detection found, nor would find if it were classified or placed right
 */
export type TideError = 'classification' | 'localization' | 'both' | 'duplicate' | 'background' | 'missed';

/** In the order of the paper, in which the progressive losses mend them. */
export const tideErrors: readonly TideError[] = [
  'classification',
  'localization',
  'both',
  'duplicate',
  'background',
  'missed',
];

export interface TideOptions {
  /** IoU from which a detection is right; the paper's t_f. */
  readonly foreground?: number;
  /** IoU up to which a detection lies on nothing; the paper's t_b. */
  readonly background?: number;
  /** How many of a picture's best detections count, over all categories together. */
  readonly perPicture?: number;
}

/** One error: a wrong detection with the object that it should have found, where there is one; of missed ones the object alone. */
export interface TideExample {
  readonly type: TideError;
  readonly image: ImageRecord;
  readonly detection?: Detection;
  readonly object?: Annotation;
  /** Of the detection and the object. */
  readonly iou?: number;
}

export interface TideCategory {
  readonly category: Category;
  /** 0 to 100, at IoU `foreground`; undefined with neither objects nor detections. */
  readonly ap: number | undefined;
  /** Wrong detections by their category, missed objects by theirs. */
  readonly counts: Readonly<Record<TideError, number>>;
}

/** Average precisions are 0 to 100, at IoU `foreground` alone. */
export interface TideAnalysis {
  readonly foreground: number;
  readonly background: number;
  /** Mean over the categories that have objects or detections; one with detections alone has 0, where COCO leaves it out. */
  readonly ap: number;
  /** What AP would gain if all errors of that type were mended and the others left. They do not add up. */
  readonly losses: Readonly<Record<TideError, number>>;
  /** What AP gains at each type when they are mended one after the other in order of `tideErrors`; they add up to what is lost. */
  readonly progressiveLosses: Readonly<Record<TideError, number>>;
  /** Gains with no false positive left above a true one, and with no object left unfound. */
  readonly falsePositiveLoss: number;
  readonly falseNegativeLoss: number;
  readonly counts: Readonly<Record<TideError, number>>;
  readonly perCategory: readonly TideCategory[];
  /** By picture; within it detections best first, then missed objects. */
  readonly examples: readonly TideExample[];
}

/** A detection as the average precisions see it. */
interface Judged {
  readonly score: number;
  /** Index of its category. */
  readonly category: number;
  readonly isRight: boolean;
  /** In a crowd: neither right nor wrong. */
  readonly isIgnored: boolean;
  readonly error?: TideError;
  /** What it becomes when its error is mended: right for that category; undefined: it goes. */
  mended?: number;
}

/**
 * Where average precision is lost.
 *
 *     const { losses } = analyseErrors({ groundTruth, detections, iouType: 'bbox' });
 *     losses.localization; // 6.2 points of AP50
 *
 * @throws InputError as evaluateCoco does, and for thresholds that are not 0 <= background <= foreground <= 1
 */
export function analyseErrors(input: AnalysisInput, options: TideOptions = {}): TideAnalysis {
  const { foreground = 0.5, background = 0.1, perPicture = 100 } = options;
  if (!(background >= 0 && background <= foreground && foreground <= 1)) {
    throw new InputError(
      'usage',
      `analyseErrors: background and foreground must be 0 <= background <= foreground <= 1, got ${background} and ${foreground}: correct them`,
    );
  }
  if (!(Number.isInteger(perPicture) && perPicture > 0)) {
    throw new InputError(
      'usage',
      `analyseErrors: perPicture must be a whole number above 0, got ${perPicture}: correct it`,
    );
  }
  const categories = [...input.groundTruth.categories].sort((a, b) => a.id - b.id);
  const place = new Map(categories.map(({ id }, index) => [id, index]));
  const objects = new Int32Array(categories.length);
  const unfound = new Int32Array(categories.length);
  const missed = new Int32Array(categories.length);
  const judged: Judged[] = [];
  const examples: TideExample[] = [];
  for (const picture of examinedPictures(input, { smallestIou: background, perPicture })) {
    const outcome = judgePicture(picture, { foreground, background });
    const mendedTo = new Map<number, number>();
    for (const [o, d] of outcome.mender) mendedTo.set(d, o);
    picture.detections.forEach((detection, d) => {
      const { isRight, isIgnored, error } = outcome.detections[d]!;
      const category = place.get(detection.categoryId)!;
      const target = mendedTo.get(d);
      const mended = target === undefined ? undefined : place.get(picture.objects[target]!.categoryId)!;
      judged.push({
        score: detection.score,
        category,
        isRight,
        isIgnored,
        ...(error === undefined ? {} : { error: error.type }),
        ...(mended === undefined ? {} : { mended }),
      });
      if (error !== undefined) {
        const object = error.object === undefined ? {} : { object: picture.objects[error.object]!, iou: error.iou };
        examples.push({ type: error.type, image: picture.image, detection, ...object });
      }
    });
    picture.objects.forEach((object, o) => {
      const category = place.get(object.categoryId)!;
      objects[category]!++;
      if (outcome.isFound[o]) return;
      unfound[category]!++;
      if (outcome.mender.has(o)) return;
      missed[category]!++;
      examples.push({ type: 'missed', image: picture.image, object });
    });
  }

  const apOf = (mends: ReadonlySet<TideError>, left = mends.has('missed') ? less(objects, missed) : objects) =>
    meanAp(categories.length, pointsOf(judged, mends), left);
  const before = apOf(new Set());
  const gain = (after: number) => Math.max(0, after - before.mean);
  const perfect = judged.filter(({ isIgnored }) => !isIgnored).map(perfectPoint);
  const counts = (of: (example: TideExample) => boolean) =>
    byError((type) => examples.filter((example) => example.type === type && of(example)).length);
  const progressive = progressiveGains((mends) => apOf(mends).mean);
  return {
    foreground,
    background,
    ap: before.mean,
    losses: byError((type) => gain(apOf(new Set([type])).mean)),
    progressiveLosses: byError((type) => progressive.get(type)!),
    falsePositiveLoss: gain(meanAp(categories.length, perfect, objects).mean),
    falseNegativeLoss: gain(apOf(new Set(), less(objects, unfound)).mean),
    counts: counts(() => true),
    perCategory: categories.map((category, index) => ({
      category,
      ap: before.perCategory[index],
      counts: counts(({ detection, object }) => (detection ?? object)!.categoryId === category.id),
    })),
    examples,
  };
}

interface PictureOutcome {
  readonly detections: readonly {
    readonly isRight: boolean;
    readonly isIgnored: boolean;
    readonly error?: { readonly type: TideError; readonly object?: number; readonly iou?: number };
  }[];
  readonly isFound: readonly boolean[];
  /** By unfound object: the best detection that would find it if it were classified or placed right. */
  readonly mender: ReadonlyMap<number, number>;
}

interface Thresholds {
  readonly foreground: number;
  readonly background: number;
}

function judgePicture(picture: ExaminedPicture, { foreground, background }: Thresholds): PictureOutcome {
  const { detections, objects, crowds } = picture;
  const isFound = objects.map(() => false);
  // Matching comes first: a later detection may take the object that an earlier one's error is about.
  const matched = detections.map((detection, d) => {
    const own = highest(picture, d, (o) => objects[o]!.categoryId === detection.categoryId && !isFound[o]);
    if (own.object === undefined || own.iou < foreground) return false;
    isFound[own.object] = true;
    return true;
  });
  const mender = new Map<number, number>();
  const outcomes = detections.map((detection, d) => {
    if (matched[d]) return { isRight: true, isIgnored: false };
    const isIgnored = crowds.some(
      ({ categoryId }, c) => categoryId === detection.categoryId && picture.shareInCrowd(d, c) > foreground,
    );
    const error = errorOf(picture, d, isFound, { foreground, background });
    const isMendable = error.type === 'localization' || error.type === 'classification';
    if (isMendable && error.object !== undefined && !isFound[error.object]) {
      const other = mender.get(error.object);
      if (other === undefined || detection.score > detections[other]!.score) mender.set(error.object, d);
    }
    return { isRight: false, isIgnored, error };
  });
  return { detections: outcomes, isFound, mender };
}

/** The first type that applies; tidecv asks for localization before classification, as here, the paper names them the other way round. */
function errorOf(
  picture: ExaminedPicture,
  d: number,
  isFound: readonly boolean[],
  { foreground, background }: Thresholds,
): { type: TideError; object?: number; iou?: number } {
  const { categoryId } = picture.detections[d]!;
  const isOwn = (o: number) => picture.objects[o]!.categoryId === categoryId;
  const own = highest(picture, d, isOwn);
  const other = highest(picture, d, (o) => !isOwn(o));
  const used = highest(picture, d, (o) => isOwn(o) && isFound[o]!);
  if (own.object === undefined && other.object === undefined) return { type: 'background' };
  if (own.object !== undefined && own.iou >= background && own.iou <= foreground) {
    return { type: 'localization', ...own };
  }
  if (other.object !== undefined && other.iou >= foreground) return { type: 'classification', ...other };
  if (used.object !== undefined && used.iou >= foreground) return { type: 'duplicate', ...used };
  if (Math.max(own.iou, other.iou) <= background) return { type: 'background' };
  return { type: 'both', ...other };
}

/** The object that a detection overlaps most among those that count, the first of equal ones. */
function highest(
  picture: ExaminedPicture,
  d: number,
  counts: (o: number) => boolean,
): { object: number; iou: number } | { object?: undefined; iou: number } {
  let object: number | undefined;
  let iou = -1;
  for (let o = 0; o < picture.objects.length; o++) {
    if (!counts(o) || picture.iou(d, o) <= iou) continue;
    object = o;
    iou = picture.iou(d, o);
  }
  return object === undefined ? { iou: 0 } : { object, iou };
}

/** The points of the average precisions after errors of some types were mended. */
function pointsOf(judged: readonly Judged[], mends: ReadonlySet<TideError>): ScoredPoint[] {
  const points: ScoredPoint[] = [];
  for (const { score, category, isRight, isIgnored, error, mended } of judged) {
    if (error !== undefined && mends.has(error)) {
      if (mended !== undefined) points.push({ score, category: mended, isRight: true });
    } else if (!isIgnored) {
      points.push({ score, category, isRight });
    }
  }
  return points;
}

function perfectPoint({ category, isRight }: Judged): ScoredPoint {
  return { score: isRight ? 1 : 0, category, isRight };
}

function progressiveGains(apOf: (mends: ReadonlySet<TideError>) => number): Map<TideError, number> {
  const mends = new Set<TideError>();
  let before = apOf(mends);
  return new Map(
    tideErrors.map((type) => {
      mends.add(type);
      const after = apOf(mends);
      const gain = after - before;
      before = after;
      return [type, gain];
    }),
  );
}

function byError<Value>(of: (type: TideError) => Value): Record<TideError, Value> {
  return Object.fromEntries(tideErrors.map((type) => [type, of(type)])) as Record<TideError, Value>;
}

function less(a: Int32Array, b: Int32Array): Int32Array {
  return a.map((value, index) => value - b[index]!);
}
