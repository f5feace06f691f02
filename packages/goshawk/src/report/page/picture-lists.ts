// Lists of pictures that numbers of the page lead to, by their keys in the address.
import type { PairThresholds } from '@goshawk/core';
import { binOf, boxAspect, boxSize, positionCell } from './box-measures.js';
import { confusedPairs } from './confusion.js';
import { keptScore } from './packed-detections.js';
import type { DetectionData, ErrorsData, ObjectData, Pair, PictureData, ReportData } from './report-data.js';
import { inWords, parseKey } from './thresholds.js';

export interface PictureList {
  readonly title: string;
  readonly entries: readonly Entry[];
  /** How many there are, where more than the entries. */
  readonly total?: number;
  /** Score from which detections are to be shown. */
  readonly score?: number;
}

/** A picture, and the object and detection that it is about. */
export interface Entry {
  readonly picture: number;
  readonly object?: number;
  readonly detection?: number;
}

/**
 * Keys: all, good, false, missed, swapped, right, objects, at, each with `/class` where it is of one class; cell/truth/found;
 * tide/type; size/class/bin, aspect/class/bin, perPicture/class/bin, position/row/column. Those that come from the confusion
 * matrix may end in `@score,IoU`.
 * @returns undefined for a key that there is not
 */
export function pictureList(report: ReportData, key: string): PictureList | undefined {
  const parsed = parseKey(key, report.errors?.confusion);
  if (parsed === undefined) return undefined;
  const { list, thresholds } = parsed;
  const [kind = '', ...rest] = list.split('/');
  const numbers = rest.map(Number);
  const [first, second] = numbers;
  switch (kind) {
    case 'all':
      return {
        title: `All pictures${thresholds ? `, most mistakes first (${inWords(thresholds)})` : ''}`,
        entries: byMistakes(report, thresholds),
      };
    case 'objects':
      return listOf(report, `Pictures with ${nameOf(report, first)}`, ({ objects }) =>
        objects.some(([category]) => category === first),
      );
    case 'size':
    case 'aspect':
    case 'perPicture':
      return binList(report, kind, first!);
    case 'position':
      return objectList(report, 'Objects in this part of the picture', ([, x, y, width, height], picture) => {
        const [row, column] = positionCell({ x, y, width, height }, picture);
        return row === first && column === second;
      });
    default:
      return (
        report.errors && thresholds && mistakeList(report, report.errors, { kind, rest, first, second, thresholds })
      );
  }
}

interface KeyParts {
  readonly kind: string;
  readonly rest: readonly string[];
  readonly first: number | undefined;
  readonly second: number | undefined;
  readonly thresholds: PairThresholds;
}

function mistakeList(report: ReportData, errors: ErrorsData, { kind, rest, first, second, thresholds }: KeyParts) {
  const background = report.categories.length;
  const of = first === undefined ? '' : `: ${nameOf(report, first)}`;
  const isOwn = (category: number) => first === undefined || category === first;
  switch (kind) {
    case 'good':
      return {
        title: `Found whole and nothing else, ${inWords(thresholds)}`,
        entries: goodPictures(report, thresholds),
        score: thresholds.scoreThreshold,
      };
    case 'false':
      return confused(
        report,
        thresholds,
        `Found where nothing is, surest first${of}`,
        (t, f) => t === background && isOwn(f),
      );
    case 'missed':
      return confused(report, thresholds, `Not found, largest first${of}`, (t, f) => f === background && isOwn(t));
    case 'swapped':
      return confused(
        report,
        thresholds,
        `Found as something else, surest first${of}`,
        (t, f) => t !== f && t !== background && f !== background && isOwn(t),
      );
    case 'right':
      return confused(report, thresholds, `Found, surest first${of}`, (t, f) => t === f && isOwn(t));
    case 'cell':
      return confused(
        report,
        thresholds,
        `${nameOf(report, first)} found as ${nameOf(report, second)}`,
        (t, f) => t === first && f === second,
      );
    case 'at': {
      // What is kept of scores is a little below them.
      const score = keptScore(second ?? 0);
      const list = listOf(
        report,
        `${first === undefined || first < 0 ? 'All classes' : nameOf(report, first)} from score ${score.toFixed(2)}`,
        ({ objects, detectionCategories, overlaps }) =>
          objects.some(([category]) => first! < 0 || category === first) ||
          Array.prototype.some.call(
            detectionCategories,
            (category: number, d) => (first! < 0 || category === first) && overlaps.score[d]! >= score,
          ),
      );
      return { ...list, score };
    }
    case 'tide': {
      const type = errors.tide.types.find((one) => one.type === rest[0]);
      return type && { title: `${type.type} errors`, total: type.count, entries: type.examples.map(entryOf) };
    }
    default:
      return undefined;
  }
}

function confused(
  report: ReportData,
  thresholds: PairThresholds,
  title: string,
  isAsked: (truth: number, found: number) => boolean,
): PictureList {
  const weight = ([picture, object, detection]: Pair): number => {
    const { objects, overlaps } = report.pictures[picture]!;
    // Found ones by score, which is at most 1; what was missed by its area, among its own kind.
    return detection < 0 ? objects[object]![3] * objects[object]![4] : overlaps.score[detection]!;
  };
  const pairs = confusedPairs(report, thresholds, isAsked);
  const weights = Float64Array.from(pairs, weight);
  // Of equal ones the first stays the first.
  const order = Uint32Array.from(pairs.keys()).sort((a, b) => weights[b]! - weights[a]! || a - b);
  return {
    title: `${title}, ${inWords(thresholds)}`,
    entries: Array.from(order, (place) => entryOf(pairs[place]!)),
    score: thresholds.scoreThreshold,
  };
}

function entryOf([picture, object, detection]: Pair): Entry {
  if (detection < 0) return { picture, object };
  return object < 0 ? { picture, detection } : { picture, object, detection };
}

/** The pictures in order of how many mistakes the confusion matrix has in each. */
function byMistakes(report: ReportData, thresholds: PairThresholds | undefined): Entry[] {
  const mistakes = thresholds
    ? perPicture(confusedPairs(report, thresholds, (truth, found) => truth !== found))
    : new Map<number, number>();
  return report.pictures
    .map((_, picture) => ({ picture }))
    .sort((a, b) => (mistakes.get(b.picture) ?? 0) - (mistakes.get(a.picture) ?? 0));
}

/** Those in which the confusion matrix has right pairs alone, most of them first. */
function goodPictures(report: ReportData, thresholds: PairThresholds): Entry[] {
  const wrong = perPicture(confusedPairs(report, thresholds, (truth, found) => truth !== found));
  const right = perPicture(confusedPairs(report, thresholds, (truth, found) => truth === found));
  return [...right]
    .filter(([picture]) => !wrong.has(picture))
    .sort(([, a], [, b]) => b - a)
    .map(([picture]) => ({ picture }));
}

function perPicture(pairs: readonly Pair[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const [picture] of pairs) counts.set(picture, (counts.get(picture) ?? 0) + 1);
  return counts;
}

function listOf(report: ReportData, title: string, isIn: (picture: PictureData) => boolean): PictureList {
  return { title, entries: report.pictures.flatMap((one, picture) => (isIn(one) ? [{ picture }] : [])) };
}

function objectList(
  report: ReportData,
  title: string,
  isAsked: (object: ObjectData, picture: PictureData) => boolean,
): PictureList {
  const entries = report.pictures.flatMap((one, picture) =>
    one.objects.flatMap((box, object) => (box[5] !== 1 && isAsked(box, one) ? [{ picture, object }] : [])),
  );
  return { title, entries };
}

function binList(report: ReportData, measure: 'size' | 'aspect' | 'perPicture', bin: number): PictureList | undefined {
  const histogram = report.data.find(({ isShown }) => isShown)?.histograms.find((one) => one.measure === measure);
  if (histogram === undefined) return undefined;
  const { edges } = histogram;
  const title = `${measureNames[measure]} ${binName(edges, bin, measure)}`;
  if (measure === 'perPicture')
    return listOf(report, title, ({ objects }) => binOf(objects.filter((one) => one[5] !== 1).length, edges) === bin);
  const of = measure === 'size' ? boxSize : boxAspect;
  return objectList(report, title, ([, , , width, height]) => binOf(of(width, height), edges) === bin);
}

export const measureNames = {
  size: 'Box size (square root of its area, pixels)',
  aspect: 'Box width / height',
  perPicture: 'Objects in a picture',
} as const;

export function binName(edges: readonly number[], bin: number, measure: keyof typeof measureNames): string {
  const [from, to] = [edges[bin]!, edges[bin + 1]!];
  // Counts are whole.
  if (measure === 'perPicture' && bin < edges.length - 2) return to === from + 1 ? `${from}` : `${from} to ${to - 1}`;
  if (bin === 0) return `below ${edges[1]}`;
  if (bin === edges.length - 2) return `${from} and more`;
  return `${from} to ${to}`;
}

/** The name of a class; that of the background behind the last. */
export function nameOf({ categories }: ReportData, category: number | undefined): string {
  return categories[category ?? -1] ?? 'background';
}

export function labelOf(report: ReportData, box: ObjectData | DetectionData, isDetection: boolean): string {
  return nameOf(report, box[0]) + (isDetection ? ` ${box[1].toFixed(2)}` : '');
}
