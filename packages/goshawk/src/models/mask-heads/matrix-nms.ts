// Matrix NMS (Wang et al. 2020, section 3.3): what every mask loses to the better ones of its class, for all at once.
import { autocast, ops, scope, type Tensor } from '@goshawk/torch';

export interface MatrixNmsOptions {
  readonly kind: 'gaussian' | 'linear';
  /** Of the gaussian. */
  readonly sigma: number;
}

// A mask that is one with a better one: what it could take from others, the better one takes already.
export const LEAST_REMAINDER = 1e-6;

/**
 * What each score is multiplied by. With iou(i, j) of a class alone, i better than j, and the most c(i) that i itself loses to
 * a better one, it is the minimum over i of f(iou(i, j)) / f(c(i)) with f(x) = exp(-sigma x^2) or 1 - x, at most 1.
 * @param masks [D, P] 0 or 1, best first
 * @param labels [D] int64
 * @returns [D] float32
 */
export function matrixNmsFactors(masks: Tensor, labels: Tensor, { kind, sigma }: MatrixNmsOptions): Tensor {
  return scope(() => {
    const areas = ops.sum(masks, [1]);
    const shared = sharedPixels(masks);
    const joined = ops.sub(ops.add(ops.unsqueeze(areas, 0), ops.unsqueeze(areas, 1)), shared);
    const isRival = ops.eq(ops.unsqueeze(labels, 0), ops.unsqueeze(labels, 1));
    const ious = ops.triu(ops.where(isRival, ops.div(shared, joined), 0), { diagonal: 1 });
    const losses = ops.unsqueeze(ops.amax(ious, { dim: 0 }), 1);
    const ratios =
      kind === 'gaussian'
        ? ops.exp(ops.mul(ops.sub(ops.square(losses), ops.square(ious)), sigma))
        : ops.div(ops.rsub(ious, 1), ops.clamp(ops.rsub(losses, 1), { min: LEAST_REMAINDER }));
    return ops.amin(ratios, { dim: 0 });
  });
}

/** [D, D]: counts, which no half type holds: bfloat16 has three digits, float16 ends at 65504. */
function sharedPixels(masks: Tensor): Tensor {
  return autocast(undefined, () => ops.matmul(masks, ops.transpose(masks, 0, 1)), { device: masks.device });
}
