// How far two runtimes agree about the same pictures.
import { type Detection, maskIou, rleArea } from '@goshawk/core';

/** Of the detections of all pictures compared. */
export interface Agreement {
  readonly pictures: number;
  /** Of the first that reach the score, and those of either that reach it by the margin and have no counterpart. */
  readonly detections: number;
  readonly unmatched: number;
  /** Of the matched ones; 1 and 0 where there are none. */
  readonly leastIou: number;
  readonly largestScoreDifference: number;
  /** Absent where no detection has a mask. */
  readonly leastMaskIou?: number;
  /** Of the masks that agree least: the pixels of the engine's, and those in which both differ. A pixel of a small mask is a large share. */
  readonly leastMask?: { readonly pixels: number; readonly differing: number };
  /** Share of the masks whose IoU is 0.99 and more, and of those that are at most one pixel apart. */
  readonly goodMasks?: { readonly byIou: number; readonly byPixel: number };
  /** Absent where no detection has keypoints. A keypoint is the likeliest place of many: where two are as likely, it moves far. */
  readonly keypoints?: KeypointAgreement;
}

export interface KeypointAgreement {
  readonly count: number;
  /** Those more than a pixel apart. */
  readonly moved: number;
  /** Pixels. */
  readonly largestDistance: number;
}

export interface AgreementOptions {
  /** Detections from this score on count. Default 0.05. */
  readonly score?: number;
  /** One that is this near above it may be missing: the last bits decide on which side it falls. Default 0.001. */
  readonly margin?: number;
  /** Where boxes end: an inclusive one of no width is a pixel wide. Default continuous. */
  readonly boxes?: 'continuous' | 'inclusive';
}

// Lower, two boxes are not the same one.
const SAME_BOX = 0.9;
const SAME_MASK = 0.99;

/** Each detection with the nearest of its category in the other list, best score first. */
export function measureAgreement(
  pictures: readonly (readonly [own: readonly Detection[], other: readonly Detection[]])[],
  { score = 0.05, margin = 1e-3, boxes = 'continuous' }: AgreementOptions = {},
): Agreement {
  const last = boxes === 'inclusive' ? 1 : 0;
  const found = { detections: 0, unmatched: 0, leastIou: 1, largestScoreDifference: 0 };
  const masks: MaskAgreement[] = [];
  const distances: number[] = [];
  for (const [own, other] of pictures) {
    const free = new Set(other);
    for (const detection of own.filter((each) => each.score >= score)) {
      found.detections++;
      const match = nearest(detection, free, last);
      if (!match) {
        if (detection.score >= score + margin) found.unmatched++;
        continue;
      }
      free.delete(match);
      found.leastIou = Math.min(found.leastIou, boxIou(detection, match, last));
      found.largestScoreDifference = Math.max(found.largestScoreDifference, Math.abs(detection.score - match.score));
      const compared = compareMasks(detection, match);
      if (compared) masks.push(compared);
      distances.push(...keypointDistances(detection, match));
    }
    found.unmatched += [...free].filter((each) => each.score >= score + margin).length;
  }
  return {
    pictures: pictures.length,
    ...found,
    ...maskFigures(masks),
    ...(distances.length > 0 && {
      keypoints: {
        count: distances.length,
        moved: distances.filter((distance) => distance > 1).length,
        largestDistance: distances.reduce((most, distance) => Math.max(most, distance), 0),
      },
    }),
  };
}

function nearest(detection: Detection, among: Iterable<Detection>, last: number): Detection | undefined {
  let best: { readonly cost: number; readonly match: Detection } | undefined;
  for (const match of among) {
    if (match.categoryId !== detection.categoryId) continue;
    const iou = boxIou(detection, match, last);
    if (iou < SAME_BOX) continue;
    const cost = 1 - iou + Math.abs(detection.score - match.score);
    if (!best || cost < best.cost) best = { cost, match };
  }
  return best?.match;
}

/** Equal boxes without an area have 1. @param last pixels that a side has besides its length */
function boxIou({ bbox: a }: Detection, { bbox: b }: Detection, last: number): number {
  const [ax, ay, aw, ah] = sides(a!, last);
  const [bx, by, bw, bh] = sides(b!, last);
  const side = (p: number, q: number, r: number, s: number): number =>
    Math.max(0, Math.min(p + q, r + s) - Math.max(p, r));
  const shared = side(ax, aw, bx, bw) * side(ay, ah, by, bh);
  const union = aw * ah + bw * bh - shared;
  if (union > 0) return shared / union;
  return a!.every((value, i) => Math.abs(value - b![i]!) < 1e-2) ? 1 : 0;
}

function keypointDistances({ keypoints: own = [] }: Detection, { keypoints: other = [] }: Detection): number[] {
  return Array.from({ length: own.length / 3 }, (_, point) => {
    const apart = (at: number): number => own[3 * point + at]! - (other[3 * point + at] ?? Number.POSITIVE_INFINITY);
    return Math.hypot(apart(0), apart(1));
  });
}

interface MaskAgreement {
  readonly iou: number;
  readonly pixels: number;
  readonly differing: number;
}

function sides([x, y, width, height]: NonNullable<Detection['bbox']>, last: number) {
  return [x, y, width + last, height + last] as const;
}

function compareMasks({ segmentation: a }: Detection, { segmentation: b }: Detection): MaskAgreement | undefined {
  if (a?.kind !== 'rle' || b?.kind !== 'rle') return undefined;
  const [own, other] = [rleArea(a.rle), rleArea(b.rle)];
  // Two masks without a pixel are equal.
  const iou = own + other === 0 ? 1 : maskIou([a.rle], [b.rle])[0]!;
  const shared = Math.round((iou * (own + other)) / (1 + iou));
  return { iou, pixels: own, differing: own + other - 2 * shared };
}

function maskFigures(masks: readonly MaskAgreement[]): Pick<Agreement, 'leastMaskIou' | 'leastMask' | 'goodMasks'> {
  if (masks.length === 0) return {};
  const least = masks.reduce((worst, mask) => (mask.iou < worst.iou ? mask : worst));
  const share = (isGood: (mask: MaskAgreement) => boolean): number => masks.filter(isGood).length / masks.length;
  return {
    leastMaskIou: least.iou,
    leastMask: { pixels: least.pixels, differing: least.differing },
    goodMasks: { byIou: share(({ iou }) => iou >= SAME_MASK), byPixel: share(({ differing }) => differing <= 1) },
  };
}
