// Intersection over union of boxes, with the COCO rule for crowds (cocodataset/cocoapi, common/maskApi.c, bbIou).
import type { BoxXywh } from './box.js';

/**
 * IoU of every detection with every ground truth: `[detections, groundTruths]`, row by row, 0 to 1.
 * Where `isCrowd` holds, the union is the detection's area alone. Boxes without area overlap nothing.
 */
export function boxIouMatrix(
  detections: readonly BoxXywh[],
  groundTruths: readonly BoxXywh[],
  isCrowd: readonly boolean[] = [],
): Float64Array {
  const iou = new Float64Array(detections.length * groundTruths.length);
  for (let d = 0; d < detections.length; d++) {
    const [dx, dy, dw, dh] = detections[d]!;
    for (let g = 0; g < groundTruths.length; g++) {
      const [gx, gy, gw, gh] = groundTruths[g]!;
      const width = Math.min(dx + dw, gx + gw) - Math.max(dx, gx);
      if (!(width > 0)) continue;
      const height = Math.min(dy + dh, gy + gh) - Math.max(dy, gy);
      if (!(height > 0)) continue;
      const shared = width * height;
      iou[d * groundTruths.length + g] = shared / (isCrowd[g] ? dw * dh : dw * dh + gw * gh - shared);
    }
  }
  return iou;
}
