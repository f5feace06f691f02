// Intersection over union of masks, with the COCO rule for crowds (cocodataset/cocoapi, common/maskApi.c, rleIou).
import { boxIouMatrix } from '../boxes/box-iou-matrix.js';
import { type Rle, rleArea } from './rle.js';
import { rleToBbox } from './rle-to-bbox.js';

/**
 * IoU of every detection with every ground truth: `[detections, groundTruths]`, row by row, 0 to 1.
 * Where `isCrowd` holds, the union is the detection's area alone. Masks of different sizes whose boxes overlap get -1.
 */
export function maskIou(
  detections: readonly Rle[],
  groundTruths: readonly Rle[],
  isCrowd: readonly boolean[] = [],
): Float64Array {
  const iou = boxIouMatrix(detections.map(rleToBbox), groundTruths.map(rleToBbox), isCrowd);
  const areas = groundTruths.map(rleArea);
  for (let d = 0; d < detections.length; d++) {
    const detection = detections[d]!;
    const area = rleArea(detection);
    for (let g = 0; g < groundTruths.length; g++) {
      const at = d * groundTruths.length + g;
      if (!(iou[at]! > 0)) continue;
      const truth = groundTruths[g]!;
      if (truth.size[0] !== detection.size[0] || truth.size[1] !== detection.size[1]) {
        iou[at] = -1;
        continue;
      }
      const shared = intersectionArea(detection.counts, truth.counts);
      iou[at] = shared === 0 ? 0 : shared / (isCrowd[g] ? area : area + areas[g]! - shared);
    }
  }
  return iou;
}

/** Pixels in both of two masks of one size, from their run lengths. */
export function intersectionArea(a: Uint32Array, b: Uint32Array): number {
  const lengthA = a.length;
  const lengthB = b.length;
  if (lengthA === 0 || lengthB === 0) return 0;
  let indexA = 0;
  let indexB = 0;
  let endA = a[0]!;
  let endB = b[0]!;
  let at = 0;
  let shared = 0;
  for (;;) {
    const next = Math.min(endA, endB);
    if ((indexA & indexB & 1) === 1) shared += next - at;
    at = next;
    if (endA === next) {
      if (++indexA === lengthA) return shared;
      endA += a[indexA]!;
      // The other mask's run may end here too; it is taken in the next turn, over a length of 0.
    } else {
      if (++indexB === lengthB) return shared;
      endB += b[indexB]!;
    }
  }
}
