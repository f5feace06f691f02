// The generalized IoU loss (Rezatofighi et al. 2019).
import { ops, type Tensor } from '@goshawk/torch';

// Keeps empty boxes from dividing by zero; fvcore's and torchvision's value.
const EPSILON = 1e-7;

/** [K]: 1 - GIoU of each of the [K, 4] xyxy boxes with its target. */
export function generalizedIouLoss(boxes: Tensor, targets: Tensor): Tensor {
  const [x1, y1, x2, y2] = ops.unbind(boxes, { dim: 1 }) as [Tensor, Tensor, Tensor, Tensor];
  const [u1, v1, u2, v2] = ops.unbind(targets, { dim: 1 }) as [Tensor, Tensor, Tensor, Tensor];
  const area = (width: Tensor, height: Tensor): Tensor => ops.mul(width, height);
  const width = ops.clamp(ops.sub(ops.minimum(x2, u2), ops.maximum(x1, u1)), { min: 0 });
  const height = ops.clamp(ops.sub(ops.minimum(y2, v2), ops.maximum(y1, v1)), { min: 0 });
  const shared = area(width, height);
  const own = area(ops.sub(x2, x1), ops.sub(y2, y1));
  const other = area(ops.sub(u2, u1), ops.sub(v2, v1));
  const union = ops.sub(ops.add(own, other), shared);
  const around = area(
    ops.sub(ops.maximum(x2, u2), ops.minimum(x1, u1)),
    ops.sub(ops.maximum(y2, v2), ops.minimum(y1, v1)),
  );
  const iou = ops.div(shared, ops.add(union, EPSILON));
  const empty = ops.div(ops.sub(around, union), ops.add(around, EPSILON));
  return ops.add(ops.neg(ops.sub(iou, empty)), 1);
}
