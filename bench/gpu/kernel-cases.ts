// What each operator of ours is tried on: made on the CPU, computed there and on the card, and compared. An operator is a row
// of KERNELS with its cases.
import { batchedNms, boxIou, matchAnchors, matchBatch, nms, nmsFirst } from './box-kernel-cases.js';
import type { KernelCase } from './kernel-case.js';
import { cropMaskTargets, masksToRle } from './mask-kernel-cases.js';
import { batchNorm, batchNormHalves, biasGradient, groupNorm, scaleShift } from './norm-kernel-cases.js';
import { roiAlign, roiAlignBackward, roiAlignMultilevel, roiPool } from './roi-kernel-cases.js';
import { focalLoss, gradientScale, optimizerSteps } from './training-kernel-cases.js';

export interface Kernel {
  readonly operator: string;
  readonly cases: readonly KernelCase[];
}

export const KERNELS: readonly Kernel[] = [
  { operator: 'roi_align', cases: roiAlign },
  { operator: 'roi_align_multilevel', cases: roiAlignMultilevel },
  { operator: 'roi_align_backward', cases: roiAlignBackward },
  { operator: 'roi_pool', cases: roiPool },
  { operator: 'nms', cases: nms },
  { operator: 'batched_nms', cases: batchedNms },
  { operator: 'box_iou', cases: boxIou },
  { operator: 'match_anchors', cases: matchAnchors },
  { operator: 'crop_mask_targets', cases: cropMaskTargets },
  { operator: 'masks_to_rle', cases: masksToRle },
  { operator: 'sigmoid_focal_loss', cases: focalLoss },
  { operator: 'batch_norm', cases: batchNorm },
  { operator: 'batch_norm halves', cases: batchNormHalves },
  { operator: 'group_norm', cases: groupNorm },
  { operator: 'with_bias_gradient', cases: biasGradient },
  { operator: 'nms_first', cases: nmsFirst },
  { operator: 'match_batch', cases: matchBatch },
  { operator: 'scale_shift', cases: scaleShift },
  { operator: 'unscale_', cases: gradientScale },
  { operator: 'optimizers', cases: optimizerSteps },
];
