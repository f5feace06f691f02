// Batch norm over the pictures of all processes.

import { processGroup } from '../distributed/current-group.js';
import { groupNumber } from '../distributed/process-group.js';
import { callOp, callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';
import { areFillerRows } from './filler-rows.js';
import { BatchNorm2d } from './norm.js';

/**
 * In training by the mean and variance over the batches of all processes of the current group, however they are split (Peng et al.,
 * MegDet, 2018, section 3.2), as torch.nn.SyncBatchNorm; outputs, gradients and running values are those of one process with all of
 * it. Alone, and in evaluation, it is BatchNorm2d, and its state always is. All processes run it, and its backward pass, equally
 * often; one that has no value for it does so with filler rows (onFillerRows) or an empty batch.
 */
export class SyncBatchNorm2d extends BatchNorm2d {
  override forward(input: Tensor): Tensor {
    const group = processGroup();
    if (!this.training || group === undefined || group.size === 1) return super.forward(input);
    callOp('aten::add_.Scalar', this.numBatchesTracked, 1);
    const { weight, bias, runningMean, runningVar, momentum, eps } = this;
    const number = groupNumber(group);
    const normalised = (values: Tensor): Tensor =>
      callTensorOp(
        'goshawk::sync_batch_norm',
        ...[values, weight, bias, runningMean, runningVar, momentum, eps, number],
      );
    if (!areFillerRows()) return normalised(input);
    // Of none of its own, so that the others get their answers; and by it the layers before have gradients, which are zero.
    const none = normalised(callTensorOp('aten::narrow', input, 0, 0, 0));
    return callTensorOp('aten::cat', [none, callTensorOp('aten::zeros_like', input)], 0);
  }
}
