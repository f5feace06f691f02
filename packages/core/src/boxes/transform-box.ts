// What a data pipeline does to one box: clip, flip, scale. Whole batches of boxes are the engine's business.
import type { BoxXyxy } from './box.js';
import { boxXyxy } from './box.js';

/** Width and height of a picture in pixels. */
export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/** Options of the functions that differ between the two meanings of a box's far corner. */
export interface BoxConvention {
  /**
   * The far corner is the last pixel inside the box, so that width = x2 - x1 + 1, as Fast R-CNN's MATLAB heritage has it
   * in Detectron and maskrcnn-benchmark. Default false: coordinates are continuous, width = x2 - x1.
   */
  readonly legacyPlusOne?: boolean;
}

/** The part of a box inside the picture. A box outside of it collapses to an empty one on the border. */
export function clipBox(box: BoxXyxy, image: ImageSize, convention: BoxConvention = {}): BoxXyxy {
  const right = convention.legacyPlusOne ? image.width - 1 : image.width;
  const bottom = convention.legacyPlusOne ? image.height - 1 : image.height;
  return boxXyxy(clamp(box[0], right), clamp(box[1], bottom), clamp(box[2], right), clamp(box[3], bottom));
}

/** The box in the picture mirrored left to right: x becomes width - x (width - 1 - x with `legacyPlusOne`). */
export function flipBoxHorizontally(box: BoxXyxy, imageWidth: number, convention: BoxConvention = {}): BoxXyxy {
  const mirror = convention.legacyPlusOne ? imageWidth - 1 : imageWidth;
  return boxXyxy(mirror - box[2], box[1], mirror - box[0], box[3]);
}

/** The box in the picture resized by these factors (new size / old size), each at least 0. */
export function scaleBox(box: BoxXyxy, scaleX: number, scaleY: number): BoxXyxy {
  return boxXyxy(box[0] * scaleX, box[1] * scaleY, box[2] * scaleX, box[3] * scaleY);
}

function clamp(value: number, limit: number): number {
  return Math.min(Math.max(value, 0), limit);
}
