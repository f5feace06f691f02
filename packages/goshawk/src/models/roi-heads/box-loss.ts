// What the second stage learns about classes and boxes (Fast R-CNN, Girshick 2015, section 2.3).
import { ops, type Tensor } from '@goshawk/torch';
import { atLeastSingle, crossEntropyMean, inAll, smoothL1Sum } from '../losses.js';
import { indicesWhere } from '../sampling.js';
import type { Losses } from '../structures.js';
import type { BoxPrediction } from './box-head.js';

/**
 * @param labels [K] int64, 0 for background
 * @param goals [K, 4] offsets that lead from the proposals to their objects; read for labels above 0 alone
 * @param beta where the regression loss turns linear
 */
export function boxLosses({ logits, offsets }: BoxPrediction, labels: Tensor, goals: Tensor, beta: number): Losses {
  const positive = indicesWhere(ops.gt(labels, 0));
  const count = labels.size(0);
  const all = inAll(count);
  const boxes = offsets.size(1) / 4;
  const perClass = ops.view(atLeastSingle(offsets), [count, boxes, 4]);
  const classes = ops.index_select(labels, 0, positive);
  const own = boxes === logits.size(1) ? classes : ops.ones_like(classes);
  const chosen = ops.index(perClass, [positive, own]);
  const regression = smoothL1Sum(chosen, ops.index_select(goals, 0, positive), beta);
  return {
    loss_classifier: crossEntropyMean(atLeastSingle(logits), labels, all),
    loss_box_reg: ops.div(regression, Math.max(1, all)),
  };
}
