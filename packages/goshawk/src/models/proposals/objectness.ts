// How likely an anchor holds an object, by what the head says.
import { ops, type Tensor } from '@goshawk/torch';

/** [..., A, 1] or [..., A, 2] logits -> [..., A] scores in the order of the objectness, whose sigmoid it is. */
export function objectnessOf(logits: Tensor): Tensor {
  const values = logits.to('float32');
  // Of two classes the softmax is the sigmoid of the difference.
  if (logits.size(-1) === 1) return ops.squeeze(values, -1);
  return ops.sub(ops.select(values, -1, 1), ops.select(values, -1, 0));
}
