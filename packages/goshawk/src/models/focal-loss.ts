// What a dense detector's class logits cost: the sigmoid focal loss over the maps of all levels.
import { ops, sigmoidFocalLoss, type Tensor } from '@goshawk/torch';

export interface FocalLossOptions {
  readonly alpha: number;
  readonly gamma: number;
}

/**
 * Sum over levels, images, anchors and classes, each image times its weight (Lin et al. 2017, section 3).
 * @param levels [N, A * C, H, W] logits a level
 * @param targets [N, anchors of all levels, cell by cell] int64: the class 0..C-1, -1 for none, -2 for one left out
 * @param weights [N]
 */
export function pyramidFocalLoss(
  levels: readonly Tensor[],
  targets: Tensor,
  weights: Tensor,
  { alpha, gamma, classes }: FocalLossOptions & { readonly classes: number },
): Tensor {
  let start = 0;
  const losses = levels.map((logits) => {
    const anchors = logits.length / (logits.size(0) * classes);
    const own = ops.narrow(targets, 1, start, anchors);
    start += anchors;
    return sigmoidFocalLoss(logits, own, weights, { alpha, gamma });
  });
  return ops.sum(ops.stack(losses));
}
