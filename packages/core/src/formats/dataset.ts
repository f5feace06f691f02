// The one shape that every annotation format is read into (COCO's own, with the optional fields filled).
import type { BoxXywh } from '../boxes/box.js';
import type { Polygon, Rle } from '../masks/rle.js';

export interface Category {
  readonly id: number;
  readonly name: string;
  readonly supercategory?: string;
  /** Names of the keypoints, in the order of an annotation's `keypoints`. */
  readonly keypoints?: readonly string[];
  /** Standard deviations of the keypoints for their similarity (OKS), where the file has them. */
  readonly sigmas?: readonly number[];
  /** Pairs of 1-based keypoint numbers to be joined by a line. */
  readonly skeleton?: readonly (readonly [number, number])[];
  /** Pairs of 0-based keypoint numbers that change places in a mirrored picture. Absent: told by the names. */
  readonly flipPairs?: readonly (readonly [number, number])[];
  /** LVIS: in how many pictures of its training set: rare (1 to 10), common (11 to 100), frequent. */
  readonly frequency?: 'r' | 'c' | 'f';
}

export interface ImageRecord {
  readonly id: number;
  /** Relative to the image folder, never leading outside of it. */
  readonly fileName: string;
  /** Pixels, as shown (after EXIF orientation). */
  readonly width: number;
  readonly height: number;
  /** LVIS: which categories were looked for. Absent: all. */
  readonly lookedFor?: LookedFor;
}

/** LVIS annotates a picture for some of its categories (arXiv 1908.03195, section 2.2). Of the others nothing is known. */
export interface LookedFor {
  /** Ids of categories that were looked for and are not there. Those that have objects were looked for too. */
  readonly absent: readonly number[];
  /** Ids of categories of which not every object is annotated. */
  readonly notAll: readonly number[];
}

/** Polygons (several parts of one object) or run lengths of the full image. */
export type Segmentation =
  | { readonly kind: 'polygons'; readonly polygons: readonly Polygon[] }
  | { readonly kind: 'rle'; readonly rle: Rle };

/** What was noted about an object. Nothing looks at it; it goes along from file to file. */
export interface ObjectMarks {
  /** The side from which it is seen, such as VOC's Left, Frontal. */
  readonly pose?: string;
  /** It goes on outside of the picture, or its box is not around all of it. */
  readonly isTruncated?: boolean;
  /** Something lies before it. */
  readonly isOccluded?: boolean;
}

export interface Annotation {
  readonly id: number;
  readonly imageId: number;
  readonly categoryId: number;
  /** Image pixels. */
  readonly bbox: BoxXywh;
  /** Square pixels; the file's value, or of the mask, or of the box where the file has none. */
  readonly area: number;
  readonly isCrowd: boolean;
  /**
   * PASCAL VOC's mark for objects that are hard to see. VOC AP ignores them (neither found nor missed), training leaves
   * them out by default; COCO AP, which knows no such mark, counts them like any other.
   */
  readonly isDifficult?: boolean;
  readonly marks?: ObjectMarks;
  readonly segmentation?: Segmentation;
  /** `[x, y, v, ...]`, v: 0 not labelled, 1 labelled but hidden, 2 visible. */
  readonly keypoints?: readonly number[];
  readonly numKeypoints?: number;
}

export interface Dataset {
  readonly images: readonly ImageRecord[];
  readonly annotations: readonly Annotation[];
  readonly categories: readonly Category[];
  /** By image id: pixels that are neither object nor background (Cityscapes' void classes). Only its own AP looks at them. */
  readonly ignoredRegions?: ReadonlyMap<number, Rle>;
}

/** One detection as it stands in detections.json and in COCO results files. */
export interface Detection {
  readonly imageId: number;
  readonly categoryId: number;
  readonly score: number;
  /** Image pixels; absent in a results file of masks or keypoints only. */
  readonly bbox?: BoxXywh;
  readonly segmentation?: Segmentation;
  readonly keypoints?: readonly number[];
  /** How sure the model is of each keypoint: its heatmap's logit there. Not written to results files. */
  readonly keypointLogits?: readonly number[];
}
