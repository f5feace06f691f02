// What passes between the parts of a detector.
import type { Tensor } from '@goshawk/torch';

/** `[height, width]` in pixels. */
export type HeightWidth = readonly [number, number];

/** A batch as the network sees it. */
export interface ImageBatch {
  /** [N, 3, H, W] float32, normalised, zero padded at the right and bottom, channels_last. */
  readonly pixels: Tensor;
  /** Each image's size inside the padding. */
  readonly sizes: readonly HeightWidth[];
  /** Each image's own size, in image pixels. */
  readonly originals: readonly HeightWidth[];
  /** Network pixels an image pixel. */
  readonly scales: readonly Scale[];
  /** [P, 4] float32 xyxy an image, network pixels: for models whose proposals are stored. */
  readonly proposals?: readonly Tensor[];
  /**
   * [N, 3, 4] float32 beside the pixels: of each image its size (width, height, width, height), that of the image itself, and
   * the scales (x, y, x, y), the numbers of the three lists above. Absent: made from them where they are needed.
   */
  readonly frames?: Tensor;
  /** Each picture's turn since the start of training; absent where pictures have none. */
  readonly turns?: readonly number[];
  /** [N] int64: what `turnKeysOf` makes of them, beside the pixels. Absent: made where it is needed. */
  readonly turnKeys?: Tensor;
}

/** A batch of pictures that are given in network pixels: nothing is scaled. */
export function unscaledBatch(pixels: Tensor, sizes: readonly HeightWidth[]): ImageBatch {
  return { pixels, sizes, originals: sizes, scales: sizes.map(() => ({ x: 1, y: 1 })) };
}

/** Factors along x and y. */
export interface Scale {
  readonly x: number;
  readonly y: number;
}

/** Ground truth of one image, in network pixels. */
export interface Targets {
  /** [G, 4] float32 xyxy. */
  readonly boxes: Tensor;
  /** [G] int64, 1..C. */
  readonly labels: Tensor;
  readonly masks?: MaskTargets;
  /** [G, K, 3] float32: x, y in network pixels and the visibility 0, 1 or 2. */
  readonly keypoints?: Tensor;
  /** Polygons of each object in network pixels, x and y by turns; for conventions that rasterise inside of boxes. */
  readonly polygons?: readonly (readonly Float64Array[])[];
}

/** Binary masks of one image, each cut to a box around it: 0 outside of it. */
export interface MaskTargets {
  /** All cut-outs one after another, rows first, uint8. */
  readonly pixels: Tensor;
  /** [G, 5] int64: offset into pixels, x, y, width, height. */
  readonly crops: Tensor;
}

/** Detections of one image, best first. */
export interface Detections {
  /** What boxes and keypoints are measured in: pixels of the network's input, or of the image as it was given. */
  readonly pixels: 'network' | 'image';
  /** [D, 4] float32 xyxy. */
  readonly boxes: Tensor;
  /** [D] float32. */
  readonly scores: Tensor;
  /** [D] int64, 1..C. */
  readonly labels: Tensor;
  /** [D, M, M] float32: probability of the object in each cell of its box. */
  readonly masks?: Tensor;
  /** Absent, or instead of `masks`: masks that no box bounds. */
  readonly wholeMasks?: WholeMasks;
  /** [D, K, 4] float32: x, y, the logit of the heatmap there, and its probability among all places of the box. */
  readonly keypoints?: Tensor;
}

/** Masks over the whole of an image's padded network input. */
export interface WholeMasks {
  /** [D, h, w] float32: probability of the object in each cell. */
  readonly probabilities: Tensor;
  /** Network pixels a side of a cell. */
  readonly stride: number;
}

/** Feature maps by level, finest first, [N, C, H, W] each. */
export type Features = readonly Tensor[];

/** Named scalar losses; their sum is minimised. */
export type Losses = Readonly<Record<string, Tensor>>;

/**
 * A part of the targets that a head cannot learn without.
 * @throws Error, an internal one: the loader brings it for every image of a model with that head
 */
export function requiredPart<Part extends 'masks' | 'keypoints' | 'polygons'>(
  target: Targets,
  part: Part,
): NonNullable<Targets[Part]> {
  const value = target[part];
  if (value === undefined) throw new Error(`internal: an image of the batch came without ${part}`);
  return value;
}
