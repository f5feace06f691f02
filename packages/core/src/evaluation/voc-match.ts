// Which detections of one class are right, as the PASCAL VOC devkit decides it (VOCevaldet.m): best score first, each
// looks at the object of its picture that it overlaps most, taken or not.
import type { BoxXywh } from '../boxes/box.js';

/** One object of a class in a picture. */
export interface VocTruth {
  readonly bbox: BoxXywh;
  /** Neither to be found nor wrong when found: difficult objects, and COCO's crowds. */
  readonly isIgnored: boolean;
  isFound: boolean;
}

export type VocOutcome = 'right' | 'wrong' | 'ignored';

/**
 * The outcome of a detection, given what the better ones of its class found; marks what it finds. A second detection of an
 * object is wrong. The threshold is reached by an overlap equal to it, as in the devkit (Python versions ask for more).
 */
export function matchVocDetection(
  box: BoxXywh,
  truths: readonly VocTruth[] | undefined,
  iouThreshold: number,
): VocOutcome {
  let best: VocTruth | undefined;
  let bestOverlap = 0;
  for (const truth of truths ?? []) {
    const overlap = vocOverlap(box, truth.bbox);
    // Of equal overlaps the first object of the file wins.
    if (overlap > bestOverlap) {
      best = truth;
      bestOverlap = overlap;
    }
  }
  if (best === undefined || bestOverlap < iouThreshold) return 'wrong';
  if (best.isIgnored) return 'ignored';
  if (best.isFound) return 'wrong';
  best.isFound = true;
  return 'right';
}

/**
 * Intersection over union, 0 to 1. The devkit's corners are whole pixels and it adds 1 to each side; boxes here have that
 * pixel in their width (`vocBoxToXywh`), so that this is the same number.
 */
function vocOverlap(a: BoxXywh, b: BoxXywh): number {
  const width = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  const height = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
  if (!(width > 0 && height > 0)) return 0;
  const shared = width * height;
  return shared / (a[2] * a[3] + b[2] * b[3] - shared);
}
