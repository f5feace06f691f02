// Lists of pictures that numbers of the page lead to, by their keys in the address.
import { binOf, boxAspect, boxSize, positionCell } from './box-measures.js';
import type { DetectionData, ErrorsData, ObjectData, Pair, PictureData, ReportData } from './report-data.js';

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
 * tide/type; size/class/bin, aspect/class/bin, perPicture/class/bin, position/row/column.
 * @returns undefined for a key that there is not
 */
export function pictureList(report: ReportData, key: string): PictureList | undefined {
  const [kind = '', ...rest] = key.split('/');
  const numbers = rest.map(Number);
  const [first, second] = numbers;
  switch (kind) {
    case 'all':
      return { title: 'All pictures, most mistakes first', entries: byMistakes(report) };
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
      return report.errors && mistakeList(report, report.errors, { kind, rest, first, second });
  }
}

interface KeyParts {
  readonly kind: string;
  readonly rest: readonly string[];
  readonly first: number | undefined;
  readonly second: number | undefined;
}

function mistakeList(report: ReportData, errors: ErrorsData, { kind, rest, first, second }: KeyParts) {
  const background = report.categories.length;
  const of = first === undefined ? '' : `: ${nameOf(report, first)}`;
  const isOwn = (category: number) => first === undefined || category === first;
  switch (kind) {
    case 'good':
      return { title: 'Found whole and nothing else', entries: errors.good.map((picture) => ({ picture })) };
    case 'false':
      return confused(
        report,
        errors,
        `Found where nothing is, surest first${of}`,
        (t, f) => t === background && isOwn(f),
      );
    case 'missed':
      return confused(report, errors, `Not found, largest first${of}`, (t, f) => f === background && isOwn(t));
    case 'swapped':
      return confused(
        report,
        errors,
        `Found as something else, surest first${of}`,
        (t, f) => t !== f && t !== background && f !== background && isOwn(t),
      );
    case 'right':
      return confused(report, errors, `Found, least sure last${of}`, (t, f) => t === f && isOwn(t));
    case 'cell':
      return confused(
        report,
        errors,
        `${nameOf(report, first)} found as ${nameOf(report, second)}`,
        (t, f) => t === first && f === second,
      );
    case 'at': {
      const score = second ?? 0;
      const list = listOf(
        report,
        `${first === undefined || first < 0 ? 'All classes' : nameOf(report, first)} from score ${score}`,
        ({ objects, detections }) =>
          objects.some(([category]) => first! < 0 || category === first) ||
          detections.some(([category, own]) => (first! < 0 || category === first) && own >= score),
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
  { confusion }: ErrorsData,
  title: string,
  isAsked: (truth: number, found: number) => boolean,
): PictureList {
  const background = report.categories.length;
  const total = confusion.cells.reduce((sum, [truth, found, count]) => sum + (isAsked(truth, found) ? count : 0), 0);
  const pairs = confusion.pairs.filter(([picture, object, detection]) => {
    const { objects, detections } = report.pictures[picture]!;
    return isAsked(objects[object]?.[0] ?? background, detections[detection]?.[0] ?? background);
  });
  const weight = ([picture, object, detection]: Pair): number => {
    const { objects, detections } = report.pictures[picture]!;
    const found = detections[detection];
    // Found ones by score, which is at most 1; what was missed by its area, among its own kind.
    return found === undefined ? objects[object]![3] * objects[object]![4] : found[1];
  };
  return {
    title,
    total,
    entries: [...pairs].sort((a, b) => weight(b) - weight(a)).map(entryOf),
    score: confusion.scoreThreshold,
  };
}

function entryOf([picture, object, detection]: Pair): Entry {
  return { picture, ...(object >= 0 ? { object } : {}), ...(detection >= 0 ? { detection } : {}) };
}

/** How many mistakes the confusion matrix has in each picture. */
function byMistakes({ pictures, errors }: ReportData): Entry[] {
  const mistakes = new Map<number, number>();
  for (const [picture, object, detection] of errors?.confusion.pairs ?? []) {
    const { objects, detections } = pictures[picture]!;
    if (objects[object]?.[0] === detections[detection]?.[0]) continue;
    mistakes.set(picture, (mistakes.get(picture) ?? 0) + 1);
  }
  return pictures
    .map((_, picture) => ({ picture }))
    .sort((a, b) => (mistakes.get(b.picture) ?? 0) - (mistakes.get(a.picture) ?? 0));
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
  const title = `${measureNames[measure]} ${binName(edges, bin)}`;
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

export function binName(edges: readonly number[], bin: number): string {
  if (bin === 0) return `below ${edges[1]}`;
  if (bin === edges.length - 2) return `${edges[bin]} and more`;
  return `${edges[bin]} to ${edges[bin + 1]}`;
}

/** The name of a class; that of the background behind the last. */
export function nameOf({ categories }: ReportData, category: number | undefined): string {
  return categories[category ?? -1] ?? 'background';
}

export function labelOf(report: ReportData, box: ObjectData | DetectionData, isDetection: boolean): string {
  return nameOf(report, box[0]) + (isDetection ? ` ${box[1].toFixed(2)}` : '');
}
