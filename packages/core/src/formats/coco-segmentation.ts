// The three forms of a mask in COCO files: lists of polygons, run lengths as a list, run lengths as a compressed string.
import { InputError } from '../errors/index.js';
import type { MaskSize, Polygon } from '../masks/rle.js';
import { rleFromCounts } from '../masks/rle.js';
import { rleFromString } from '../masks/rle-string.js';
import type { DataIssueCode } from './data-issue.js';
import { describeValue } from './data-issue.js';
import type { Segmentation } from './dataset.js';
import { asObject } from './read-json.js';

/** A fault of a mask: its place below `segmentation`, and the rest of the sentence with the remedy. */
export interface SegmentationProblem {
  readonly code: DataIssueCode;
  readonly path: string;
  readonly text: string;
}

export interface ReadSegmentation {
  /** Absent where the file has none, or nothing of it is usable. */
  readonly segmentation?: Segmentation;
  /** Makes the mask unusable. */
  readonly error?: SegmentationProblem;
  /** Parts that were left out. */
  readonly leftOut: readonly SegmentationProblem[];
}

const fewestNumbers = 6;

/**
 * Reads a `segmentation` value. A polygon of fewer than three corners covers nothing and is left out, never read as a
 * box (cocodataset/cocoapi#348); null, [] and {} mean that there is no mask.
 * @param size of the picture, `[height, width]`, or undefined where it is not known: run lengths then only have to agree with their own size.
 */
export function readSegmentation(value: unknown, size: MaskSize | undefined): ReadSegmentation {
  if (value === undefined || value === null) return { leftOut: [] };
  if (Array.isArray(value)) return readPolygons(value as readonly unknown[]);
  const object = asObject(value);
  if (object === undefined) {
    return failed(
      '',
      `is ${describeValue(value)} (expected polygons or run lengths): write [[x0, y0, x1, y1, ...], ...]`,
    );
  }
  return Object.keys(object).length === 0 ? { leftOut: [] } : readRunLengths(object, size);
}

function readPolygons(parts: readonly unknown[]): ReadSegmentation {
  const polygons: Polygon[] = [];
  const leftOut: SegmentationProblem[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    if (!Array.isArray(part)) {
      return failed(`[${i}]`, `is ${describeValue(part)} (expected a polygon): write [[x0, y0, x1, y1, ...], ...]`);
    }
    const numbers = part as readonly unknown[];
    const bad = numbers.findIndex((number) => typeof number !== 'number' || !Number.isFinite(number));
    if (bad >= 0) {
      return failed(
        `[${i}][${bad}]`,
        `is ${describeValue(numbers[bad])} (expected a number of pixels): correct the corner`,
      );
    }
    if (numbers.length % 2 !== 0) {
      return failed(
        `[${i}]`,
        `has ${numbers.length} numbers (expected pairs of x and y): one number is missing or too many`,
      );
    }
    if (numbers.length < fewestNumbers) {
      leftOut.push({
        code: 'polygon-degenerate',
        path: `[${i}]`,
        text: `has ${numbers.length} numbers (expected at least 6, three corners): the polygon is left out; draw it again or remove it`,
      });
    } else {
      polygons.push(numbers as readonly number[]);
    }
  }
  return polygons.length === 0 ? { leftOut } : { segmentation: { kind: 'polygons', polygons }, leftOut };
}

function readRunLengths(object: Readonly<Record<string, unknown>>, imageSize: MaskSize | undefined): ReadSegmentation {
  const { size, counts } = object;
  if (!Array.isArray(size) || size.length !== 2 || !size.every((side) => Number.isSafeInteger(side) && side > 0)) {
    return failed('.size', `is ${describeValue(size)} (expected [height, width] in pixels): write the picture's size`);
  }
  const [height, width] = size as [number, number];
  if (imageSize !== undefined && (height !== imageSize[0] || width !== imageSize[1])) {
    return failed(
      '.size',
      `is [${height}, ${width}] but the picture is [${imageSize[0]}, ${imageSize[1]}] (height, width): encode the mask at the picture's size`,
    );
  }
  if (typeof counts !== 'string' && !Array.isArray(counts)) {
    return failed(
      '.counts',
      `is ${describeValue(counts)} (expected run lengths, a list or a string): encode the mask again`,
    );
  }
  try {
    const rle =
      typeof counts === 'string' ? rleFromString(counts, [height, width]) : readCounts(counts, [height, width]);
    return { segmentation: { kind: 'rle', rle }, leftOut: [] };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return failed('.counts', `cannot be read: ${error.message.replace(/^mask: /, '')}`);
  }
}

function readCounts(counts: readonly unknown[], size: MaskSize) {
  const bad = counts.findIndex((run) => !Number.isSafeInteger(run) || (run as number) < 0);
  if (bad >= 0) {
    throw new InputError(
      'annotation-invalid',
      `run ${bad} is ${describeValue(counts[bad])} (expected a whole number of pixels): encode the mask again`,
    );
  }
  return rleFromCounts(counts as readonly number[], size);
}

function failed(path: string, text: string): ReadSegmentation {
  return { error: { code: 'bad-mask', path, text }, leftOut: [] };
}
