// A batch in tensors of one size: objects and boxes of all images in as many rows, and flags for those that are any.
import { callTensorOp, ops, type Tensor, tensor } from '@goshawk/torch';
import type { ImageBatch, Targets } from './structures.js';

/** Boxes of N images. */
export interface PaddedBoxes {
  /** [N, P, 4] xyxy; zeros where there is none. */
  readonly boxes: Tensor;
  /** [N, P] bool. */
  readonly valid: Tensor;
  /** [N, P] int64 number of the anchor of each, where they come of anchors. */
  readonly anchorNumbers?: Tensor;
}

/** Objects of N images. */
export interface PaddedObjects {
  /** [N, G, 4] xyxy in network pixels, G at least 1; zeros where there is none. */
  readonly boxes: Tensor;
  /** [N, G] int64, 1..C; 0 where there is none. */
  readonly labels: Tensor;
  /** [N, G] bool. */
  readonly present: Tensor;
  /** [N, G, K, 3] as {@link Targets.keypoints}, for targets that have them; K is 0 where none has an object. */
  readonly keypoints?: Tensor;
}

export function padObjects(targets: readonly Targets[]): PaddedObjects {
  const labels = padRows(targets.map((target) => target.labels));
  const hasKeypoints = targets.every((target) => target.keypoints !== undefined);
  return {
    boxes: padRows(targets.map((target) => target.boxes)),
    labels,
    present: ops.gt(labels, 0),
    ...(hasKeypoints && { keypoints: padRows(targets.map((target) => target.keypoints!)) }),
  };
}

/** [P_i, 4] boxes of each image, in as many rows. */
export function padBoxes(boxes: readonly Tensor[]): PaddedBoxes {
  const padded = padRows(boxes, Number.NaN);
  const valid = ops.eq(ops.select(padded, 2, 0), ops.select(padded, 2, 0));
  return { boxes: ops.nan_to_num(padded, { nan: 0 }), valid };
}

/** [R_i, ...] of each image in as many rows, at least one; what there is none of gets `value`. */
export function padRows(rows: readonly Tensor[], value = 0): Tensor {
  const padded = ops.pad_sequence(rows, { batch_first: true, padding_value: value });
  if (padded.size(1) > 0) return padded;
  const [images = 0, , ...rest] = padded.shape;
  return ops.new_full(padded, [images, 1, ...rest], value);
}

/** Rows `index` [N, K] int64 of each image's [N, R, ...] values: [N, K, ...]. */
export function rowsAt(values: Tensor, index: Tensor): Tensor {
  const [, , ...rest] = values.shape;
  if (rest.length === 0) return ops.gather(values, 1, index);
  const [images = 0, count = 0] = index.shape;
  const everywhere = ops.expand(ops.view(index, [images, count, ...rest.map(() => 1)]), [images, count, ...rest]);
  return ops.gather(values, 1, everywhere);
}

/** [N, R, ...] values where the [N, R] flags hold, zeros elsewhere, whatever stood there. */
export function zeroUnless(flags: Tensor, values: Tensor): Tensor {
  const shape = [...flags.shape, ...values.shape.slice(flags.rank).map(() => 1)];
  return ops.where(ops.view(flags, shape), values, 0);
}

/** What an image is measured by, against [N, R, 4] boxes; each [N, 1, 4] float32. */
export interface Frames {
  /** Width, height, width, height without padding, network pixels. */
  readonly sizes: Tensor;
  /** The same of the image itself, image pixels. */
  readonly originals: Tensor;
  /** Factors along x, y, x, y. */
  readonly scales: Tensor;
}

export type FramedBatch = ImageBatch & Required<Pick<ImageBatch, 'frames'>>;

/**
 * The batch with its frames. Who brings a batch to a card brings them along with the pixels: made here, a few bytes travel
 * alone.
 */
export function withFrames(batch: ImageBatch): FramedBatch {
  const { frames, pixels, sizes } = batch;
  if (frames) return { ...batch, frames };
  const values = tensor(frameValues(batch), { shape: [sizes.length, 3, 4] });
  const { device } = pixels;
  if (device === 'cpu') return { ...batch, frames: values };
  const isAsynchronous = true;
  return { ...batch, frames: callTensorOp('aten::to.device', values, device, 'float32', isAsynchronous) };
}

export function framesOf({ frames }: Required<Pick<ImageBatch, 'frames'>>): Frames {
  const [sizes, originals, scales] = ops.unbind(ops.unsqueeze(frames, 2), { dim: 1 }) as [Tensor, Tensor, Tensor];
  return { sizes, originals, scales };
}

/** The N x 3 x 4 values of {@link ImageBatch.frames}. */
export function frameValues({
  sizes,
  originals,
  scales,
}: Pick<ImageBatch, 'sizes' | 'originals' | 'scales'>): Float32Array {
  return Float32Array.from(
    sizes.flatMap(([height, width], image) => {
      const [originalHeight, originalWidth] = originals[image]!;
      const { x, y } = scales[image]!;
      return [width, height, width, height, originalWidth, originalHeight, originalWidth, originalHeight, x, y, x, y];
    }),
  );
}
