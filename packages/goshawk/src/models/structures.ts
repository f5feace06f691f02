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
}

/** Ground truth of one image, in network pixels. */
export interface Targets {
  /** [G, 4] float32 xyxy. */
  readonly boxes: Tensor;
  /** [G] int64, 1..C. */
  readonly labels: Tensor;
  readonly masks?: MaskTargets;
}

/** Binary masks of one image, each cut to a box around it: 0 outside of it. */
export interface MaskTargets {
  /** All cut-outs one after another, rows first, uint8. */
  readonly pixels: Tensor;
  /** [G, 5] int64: offset into pixels, x, y, width, height. */
  readonly crops: Tensor;
}

/** Detections of one image in network pixels, best first. */
export interface Detections {
  /** [D, 4] float32 xyxy. */
  readonly boxes: Tensor;
  /** [D] float32. */
  readonly scores: Tensor;
  /** [D] int64, 1..C. */
  readonly labels: Tensor;
  /** [D, M, M] float32: probability of the object in each cell of its box. */
  readonly masks?: Tensor;
}

/** Feature maps by level, finest first, [N, C, H, W] each. */
export type Features = readonly Tensor[];

/** Named scalar losses; their sum is minimised. */
export type Losses = Readonly<Record<string, Tensor>>;
