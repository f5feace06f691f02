// Boxes as offsets from reference boxes, and back (R-CNN, Girshick et al. 2014, appendix C; weights as in Fast R-CNN's code).
import { ops, type Tensor } from '@goshawk/torch';
import type { BoxConvention } from './conventions.js';

/** Factors of the offsets (dx, dy, dw, dh). */
export type BoxWeights = readonly [number, number, number, number];

// A box grows at most to 1000 / 16 times its reference: Detectron's bound, against exp() of a wild prediction.
export const LARGEST_LOG_SCALE = Math.log(1000 / 16);

/** Both axes at once, [..., 2] each. */
interface Centred {
  readonly centre: Tensor;
  readonly size: Tensor;
}

function centred(boxes: Tensor, convention: BoxConvention): Centred {
  const start = ops.narrow(boxes, -1, 0, 2);
  const size = sidesOf(boxes, start, convention);
  return { centre: ops.add(start, ops.mul(size, 0.5)), size };
}

/** Width and height, [..., 2]. */
function sidesOf(boxes: Tensor, start: Tensor, convention: BoxConvention): Tensor {
  const difference = ops.sub(ops.narrow(boxes, -1, 2, 2), start);
  return convention === 'inclusive' ? ops.add(difference, 1) : difference;
}

/** [..., 2] values of x and y, each by its factor. */
function scaled(values: Tensor, x: number, y: number, by: typeof ops.mul): Tensor {
  if (x === y) return x === 1 ? values : by(values, x);
  return ops.cat([by(ops.narrow(values, -1, 0, 1), x), by(ops.narrow(values, -1, 1, 1), y)], { dim: -1 });
}

/** [..., 4] xyxy boxes as seen from as many xyxy references -> [..., 4] offsets. */
export function encodeBoxes(
  boxes: Tensor,
  references: Tensor,
  [x, y, width, height]: BoxWeights,
  convention: BoxConvention = 'continuous',
): Tensor {
  const to = centred(boxes, convention);
  const from = centred(references, convention);
  const moves = ops.div(ops.sub(to.centre, from.centre), from.size);
  const growths = ops.log(ops.div(to.size, from.size));
  return ops.cat([scaled(moves, x, y, ops.mul), scaled(growths, width, height, ops.mul)], { dim: -1 });
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
  [x, y, width, height]: BoxWeights,
  { convention = 'continuous', boundsShrinking = false }: DecodeOptions = {},
): Tensor {
  const from = centred(ops.unsqueeze(references, 1), convention);
  // The number of classes is written out: with no boxes -1 could stand for any.
  const perClass = ops.view(offsets, [offsets.size(0), offsets.size(1) / 4, 4]);
  const moves = scaled(ops.narrow(perClass, 2, 0, 2), x, y, ops.div);
  const growths = scaled(ops.narrow(perClass, 2, 2, 2), width, height, ops.div);
  const bounds = boundsShrinking ? { min: -LARGEST_LOG_SCALE, max: LARGEST_LOG_SCALE } : { max: LARGEST_LOG_SCALE };
  const centre = ops.add(ops.mul(moves, from.size), from.centre);
  const half = ops.mul(ops.mul(ops.exp(ops.clamp(growths, bounds)), from.size), 0.5);
  const end = ops.add(centre, half);
  return ops.cat([ops.sub(centre, half), convention === 'inclusive' ? ops.sub(end, 1) : end], { dim: 2 });
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

/** [...] bool: both sides of the [..., 4] xyxy box are at least `minSize` pixels. */
export function atLeast(boxes: Tensor, minSize: number, convention: BoxConvention = 'continuous'): Tensor {
  return ops.all(ops.ge(sidesOf(boxes, ops.narrow(boxes, -1, 0, 2), convention), minSize), -1);
}
