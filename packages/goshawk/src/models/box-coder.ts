// Boxes as offsets from reference boxes, and back (R-CNN, Girshick et al. 2014, appendix C; weights as in Fast R-CNN's code).
import { ops, type Tensor } from '@goshawk/torch';
import type { BoxConvention } from './conventions.js';

/** Factors of the offsets (dx, dy, dw, dh). */
export type BoxWeights = readonly [number, number, number, number];

// A box grows at most to 1000 / 16 times its reference: Detectron's bound, against exp() of a wild prediction.
const LARGEST_LOG_SCALE = Math.log(1000 / 16);

interface Centred {
  readonly x: Tensor;
  readonly y: Tensor;
  readonly width: Tensor;
  readonly height: Tensor;
}

function centred(boxes: Tensor, convention: BoxConvention): Centred {
  const [x1, y1, x2, y2] = ops.unbind(boxes, { dim: -1 }) as [Tensor, Tensor, Tensor, Tensor];
  const width = length(x1, x2, convention);
  const height = length(y1, y2, convention);
  return { x: ops.add(x1, ops.mul(width, 0.5)), y: ops.add(y1, ops.mul(height, 0.5)), width, height };
}

function length(from: Tensor, to: Tensor, convention: BoxConvention): Tensor {
  const difference = ops.sub(to, from);
  return convention === 'inclusive' ? ops.add(difference, 1) : difference;
}

/** [..., 4] xyxy boxes as seen from as many xyxy references -> [..., 4] offsets. */
export function encodeBoxes(
  boxes: Tensor,
  references: Tensor,
  weights: BoxWeights,
  convention: BoxConvention = 'continuous',
): Tensor {
  const to = centred(boxes, convention);
  const from = centred(references, convention);
  return ops.stack(
    [
      ops.mul(ops.div(ops.sub(to.x, from.x), from.width), weights[0]),
      ops.mul(ops.div(ops.sub(to.y, from.y), from.height), weights[1]),
      ops.mul(ops.log(ops.div(to.width, from.width)), weights[2]),
      ops.mul(ops.log(ops.div(to.height, from.height)), weights[3]),
    ],
    { dim: -1 },
  );
}

export interface DecodeOptions {
  /** Default continuous. */
  readonly convention?: BoxConvention;
  /** Whether a box also shrinks at most to 16 / 1000 of its reference, as in mmdetection 1. Default false. */
  readonly boundsShrinking?: boolean;
}

/** [N, K * 4] offsets from [N, 4] xyxy references -> [N, K, 4] xyxy boxes. */
export function decodeBoxes(
  offsets: Tensor,
  references: Tensor,
  weights: BoxWeights,
  { convention = 'continuous', boundsShrinking = false }: DecodeOptions = {},
): Tensor {
  const from = centred(ops.unsqueeze(references, 1), convention);
  // The number of classes is written out: with no boxes -1 could stand for any.
  const perClass = ops.view(offsets, [offsets.size(0), offsets.size(1) / 4, 4]);
  const [dx, dy, dw, dh] = ops.unbind(perClass, { dim: -1 }) as [Tensor, Tensor, Tensor, Tensor];
  const x = ops.add(ops.mul(ops.div(dx, weights[0]), from.width), from.x);
  const y = ops.add(ops.mul(ops.div(dy, weights[1]), from.height), from.y);
  const bounds = boundsShrinking ? { min: -LARGEST_LOG_SCALE, max: LARGEST_LOG_SCALE } : { max: LARGEST_LOG_SCALE };
  const half = (delta: Tensor, weight: number, side: Tensor): Tensor =>
    ops.mul(ops.mul(ops.exp(ops.clamp(ops.div(delta, weight), bounds)), side), 0.5);
  const halfWidth = half(dw, weights[2], from.width);
  const halfHeight = half(dh, weights[3], from.height);
  const end = (value: Tensor): Tensor => (convention === 'inclusive' ? ops.sub(value, 1) : value);
  return ops.stack(
    [ops.sub(x, halfWidth), ops.sub(y, halfHeight), end(ops.add(x, halfWidth)), end(ops.add(y, halfHeight))],
    { dim: 2 },
  );
}

/** Boxes [..., 4] xyxy cut to an image of `[height, width]`; inclusive ones to its last pixels. */
export function clipBoxes(
  boxes: Tensor,
  [height, width]: readonly [number, number],
  convention: BoxConvention = 'continuous',
): Tensor {
  const [x1, y1, x2, y2] = ops.unbind(boxes, { dim: -1 }) as [Tensor, Tensor, Tensor, Tensor];
  const last = convention === 'inclusive' ? 1 : 0;
  const inside = (value: Tensor, side: number): Tensor => ops.clamp(value, { min: 0, max: side - last });
  return ops.stack([inside(x1, width), inside(y1, height), inside(x2, width), inside(y2, height)], { dim: -1 });
}

/** [N] bool: both sides of the [N, 4] xyxy box are at least `minSize` pixels. */
export function atLeast(boxes: Tensor, minSize: number, convention: BoxConvention = 'continuous'): Tensor {
  const [x1, y1, x2, y2] = ops.unbind(boxes, { dim: -1 }) as [Tensor, Tensor, Tensor, Tensor];
  return ops.logical_and(ops.ge(length(x1, x2, convention), minSize), ops.ge(length(y1, y2, convention), minSize));
}
