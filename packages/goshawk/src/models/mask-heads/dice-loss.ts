// How much of a predicted mask and its goal do not overlap (Milletari et al., V-Net, 2016, as SOLO has it).
import { autocast, ops, type Tensor } from '@goshawk/torch';

/** Against division by zero; of each of the two sums, as in SOLO's dice_loss. */
const SMOOTH = 0.001;

/**
 * 1 - 2 sum(p t) / (sum(p^2) + sum(t^2)) of each predicted mask: one product of matrices gives the overlaps of all masks with
 * all goals, so that no goal is copied for the cells that share it.
 * @param masks [M, P] probabilities
 * @param goals [G, P] 0 or 1
 * @param objects [M] int64: the goal of each mask
 * @returns [M]
 */
export function diceLosses(masks: Tensor, goals: Tensor, objects: Tensor): Tensor {
  const whole = goals.to({ dtype: masks.dtype });
  // Sums over a whole mask, which no half type holds: with overlaps of three digits and areas of seven a mask is never its goal.
  const product = autocast(undefined, () => ops.matmul(masks, ops.transpose(whole, 0, 1)), { device: masks.device });
  const overlaps = ops.gather(product, 1, ops.unsqueeze(objects, 1));
  const own = ops.add(ops.sum(ops.mul(masks, masks), [1]), SMOOTH);
  const wanted = ops.add(ops.index_select(ops.sum(whole, [1]), 0, objects), SMOOTH);
  const share = ops.div(ops.mul(ops.squeeze(overlaps, 1), 2), ops.add(own, wanted));
  return ops.rsub(share, 1);
}
