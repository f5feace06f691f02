// RoIs in batches of sizes that the engine is fast with, and never none.
import { onFillerRows, ops, type Tensor } from '@goshawk/torch';

export interface FilledBatch {
  /** [K_i, 4] an image, the fillers behind the last one's. */
  readonly boxes: readonly Tensor[];
  /** How many boxes are real: what is computed of the others is to be cut off. */
  readonly count: number;
}

/**
 * Adds boxes of no size until there is at least one and their number is a multiple of `multiple`.
 *
 * oneDNN compiles a kernel for every size it meets: a number of boxes that differs at each step would cost time and
 * memory each time. A few fillers leave few sizes, and no empty batch, which libtorch 1.13's convolutions refuse in the
 * channels_last format.
 */
export function fillBatch(boxes: readonly Tensor[], multiple: number): FilledBatch {
  const count = boxes.reduce((sum, own) => sum + own.size(0), 0);
  const fillers = Math.max(1, Math.ceil(count / multiple)) * multiple - count;
  if (fillers === 0) return { boxes, count };
  const last = boxes.length - 1;
  const filled = boxes.map((own, image) => (image === last ? ops.cat([own, ops.new_zeros(own, [fillers, 4])]) : own));
  return { boxes: filled, count };
}

/** What `body` makes of the rows of a filled batch; where none is real, norms that look at all of them are to know. */
export function ofFilled<Result>({ count }: FilledBatch, body: () => Result): Result {
  return count === 0 ? onFillerRows(body) : body();
}

/** The rows of [K, ...] that belong to real boxes. */
export function withoutFillers(values: Tensor, { count }: FilledBatch): Tensor {
  return values.size(0) === count ? values : ops.narrow(values, 0, 0, count);
}
