// How much two boxes overlap, by four measures: IoU, and three that also tell boxes apart that do not touch: GIoU (Rezatofighi et
// al. 2019), DIoU and CIoU (Zheng et al. 2020).
import { noGrad, ops, type Tensor } from '@goshawk/torch';
import type { SparseRcnnConfig } from '../../config/index.js';

export type OverlapMeasure = SparseRcnnConfig['loss']['iou'];

// Keeps empty boxes from dividing by zero; that of liangheming/sparse_rcnnv1.
const EPSILON = 1e-9;

/** [..., 4] xyxy boxes with as many, or with shapes that expand to one another: [...], at most 1. */
export function overlapOf(measure: OverlapMeasure, boxes: Tensor, others: Tensor): Tensor {
  const a = cornersOf(boxes);
  const b = cornersOf(others);
  const shared = area(
    ops.sub(ops.minimum(a.right, b.right), ops.maximum(a.left, b.left)),
    ops.sub(ops.minimum(a.bottom, b.bottom), ops.maximum(a.top, b.top)),
  );
  const union = ops.sub(ops.add(ownArea(a), ownArea(b)), shared);
  const iou = ops.div(shared, ops.add(union, EPSILON));
  if (measure === 'iou') return iou;
  const width = ops.sub(ops.maximum(a.right, b.right), ops.minimum(a.left, b.left));
  const height = ops.sub(ops.maximum(a.bottom, b.bottom), ops.minimum(a.top, b.top));
  if (measure === 'giou') {
    const around = ops.mul(width, height);
    return ops.sub(iou, ops.div(ops.sub(around, union), ops.add(around, EPSILON)));
  }
  const apart = ops.div(
    ops.add(
      square(middleDistance(a.left, a.right, b.left, b.right)),
      square(middleDistance(a.top, a.bottom, b.top, b.bottom)),
    ),
    ops.add(ops.add(square(width), square(height)), EPSILON),
  );
  const diou = ops.sub(iou, apart);
  if (measure === 'diou') return diou;
  const aspect = ops.mul(square(ops.sub(angleOf(b), angleOf(a))), 4 / Math.PI ** 2);
  // The weight of the aspect is no part of what is learned (equation 12 there).
  // In this order: added to 1, float32 would not hold the epsilon, and a box that is its goal would be 0 / 0.
  const weight = noGrad(() => ops.div(aspect, ops.add(ops.add(ops.rsub(iou, 1), aspect), EPSILON)));
  return ops.sub(diou, ops.mul(aspect, weight));
}

/** 1 minus the measure; of IoU its negative logarithm, which boxes that do not touch keep finite. */
export function overlapLoss(measure: OverlapMeasure, boxes: Tensor, others: Tensor): Tensor {
  const value = overlapOf(measure, boxes, others);
  return measure === 'iou' ? ops.neg(ops.log(ops.clamp(value, { min: EPSILON }))) : ops.rsub(value, 1);
}

interface Corners {
  readonly left: Tensor;
  readonly top: Tensor;
  readonly right: Tensor;
  readonly bottom: Tensor;
}

function cornersOf(boxes: Tensor): Corners {
  const [left, top, right, bottom] = ops.unbind(boxes, { dim: -1 }) as [Tensor, Tensor, Tensor, Tensor];
  return { left, top, right, bottom };
}

function area(width: Tensor, height: Tensor): Tensor {
  return ops.mul(ops.clamp(width, { min: 0 }), ops.clamp(height, { min: 0 }));
}

function ownArea({ left, top, right, bottom }: Corners): Tensor {
  return ops.mul(ops.sub(right, left), ops.sub(bottom, top));
}

function middleDistance(from: Tensor, to: Tensor, otherFrom: Tensor, otherTo: Tensor): Tensor {
  return ops.mul(ops.sub(ops.add(from, to), ops.add(otherFrom, otherTo)), 0.5);
}

function angleOf({ left, top, right, bottom }: Corners): Tensor {
  return ops.atan(ops.div(ops.sub(right, left), ops.add(ops.sub(bottom, top), EPSILON)));
}

function square(value: Tensor): Tensor {
  return ops.mul(value, value);
}
