// From the network's pixels to the image's: detections as they are evaluated, written and drawn.
import { boxXywh, type Detection, type Rle } from '@goshawk/core';
import { masksToRle, ops, scope, tensor } from '@goshawk/torch';
import type { Detections } from '../models/index.js';

/** An image's two sizes, in pixels. */
export interface ImageSizes {
  readonly imageId: number;
  /** As the network saw it, without padding. */
  readonly width: number;
  readonly height: number;
  readonly originalWidth: number;
  readonly originalHeight: number;
}

export interface PostProcessOptions {
  /** Category ids by class index - 1. */
  readonly categoryIds: readonly number[];
  /** Probability from which a cell belongs to the object. */
  readonly maskThreshold: number;
}

/** One image's detections in image pixels, best first; masks are run lengths of the whole image. */
export function postProcess(found: Detections, image: ImageSizes, options: PostProcessOptions): Detection[] {
  return scope(() => {
    const scaleX = Math.fround(image.originalWidth / image.width);
    const scaleY = Math.fround(image.originalHeight / image.height);
    const boxes = ops.mul(found.boxes, tensor([scaleX, scaleY, scaleX, scaleY], { device: found.boxes.device }));
    const corners = boxes.toFloat32Array();
    const scores = found.scores.toFloat32Array();
    const labels = found.labels.toNumbers();
    const masks = found.masks
      ? masksToRle(found.masks, boxes, {
          height: image.originalHeight,
          width: image.originalWidth,
          threshold: options.maskThreshold,
        })
      : undefined;
    return labels.map((label, index) => {
      const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = corners.subarray(index * 4, index * 4 + 4);
      const categoryId = options.categoryIds[label - 1];
      if (categoryId === undefined) throw new Error(`internal: class ${label} of ${options.categoryIds.length}`);
      const rle: Rle | undefined = masks && {
        size: [image.originalHeight, image.originalWidth],
        counts: masks[index]!,
      };
      return {
        imageId: image.imageId,
        categoryId,
        score: scores[index]!,
        bbox: boxXywh(x1, y1, x2 - x1, y2 - y1),
        ...(rle ? { segmentation: { kind: 'rle' as const, rle } } : {}),
      };
    });
  });
}
