// The best of scores in an order that is the same everywhere: best first, of equal ones the first.
import { ops, scope, type Tensor } from '@goshawk/torch';

// A place in the low half of 64 bits, behind the score in the high one.
const PLACES = 2 ** 32;
// Of the bits of a negative float32, read as an integer.
const SIGN = -(2 ** 31);

/**
 * The `count` largest along the last axis; aten's own topk says nothing about equal ones, and takes others on other devices. Zeros
 * of both signs are equal.
 * @param scores [..., K]
 * @returns values [..., count], largest first, of equal ones the first, and their places, int64
 */
export function bestOf(scores: Tensor, count: number): readonly [values: Tensor, places: Tensor] {
  return scope(() => {
    const bits = ops.view(scores.to('float32').contiguous(), 'int32').to('int64');
    // Ascending as the numbers are; whole bits of negative ones grow where the number falls.
    const ranks = ops.where(ops.lt(bits, 0), ops.rsub(bits, SIGN), bits);
    const last = scores.size(-1);
    const places = ops.rsub(ops.arange(last, { dtype: 'int64', device: scores.device }), last - 1);
    const [, best] = ops.topk(ops.add(ops.mul(ranks, PLACES), places), count);
    return [ops.gather(scores, -1, best), best];
  });
}
