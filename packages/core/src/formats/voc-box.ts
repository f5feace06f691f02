// PASCAL VOC's pixel rule, decided here and nowhere else: corners count pixels from 1, and the far corner is the last
// pixel inside. A box that covers the whole of a 640 x 480 picture is 1, 1, 640, 480 there and [0, 0, 640, 480] here.
import type { BoxXywh } from '../boxes/box.js';
import { boxXywh } from '../boxes/box.js';

/** The corners as a VOC file has them; fractions stay. */
export interface VocCorners {
  readonly xmin: number;
  readonly ymin: number;
  readonly xmax: number;
  readonly ymax: number;
}

/**
 * `[xmin - 1, ymin - 1, xmax - xmin + 1, ymax - ymin + 1]`: what Detectron's PASCAL json files hold and what detectron2
 * reads (data/datasets/pascal_voc.py). The overlap of two such boxes, in continuous coordinates, is the devkit's overlap
 * with its "+ 1" on the corners.
 */
export function vocBoxToXywh({ xmin, ymin, xmax, ymax }: VocCorners): BoxXywh {
  return boxXywh(xmin - 1, ymin - 1, xmax - xmin + 1, ymax - ymin + 1);
}

/** The inverse of `vocBoxToXywh`. */
export function xywhToVocBox([x, y, width, height]: BoxXywh): VocCorners {
  return { xmin: x + 1, ymin: y + 1, xmax: x + width, ymax: y + height };
}
