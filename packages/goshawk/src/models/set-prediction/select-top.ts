// Detections out of a set of predictions: nothing is suppressed, since no two proposals answer for one object.

import { ops, type Tensor } from '@goshawk/torch';
import { bestOf } from '../best-of.js';
import type { FixedDetections } from '../fixed-detections.js';
import { rowsAt } from '../padded.js';

export interface SelectTopOptions {
  readonly maxDetections: number;
  readonly scoreThreshold: number;
}

/**
 * The best pairs of a proposal and a class; a proposal may come with several classes. Boxes end at the picture.
 * @param logits [N, P, C]; `boxes` [N, P, 4]; `sizes` [N, 1, 4]
 */
export function selectTop(
  logits: Tensor,
  boxes: Tensor,
  sizes: Tensor,
  { maxDetections, scoreThreshold }: SelectTopOptions,
): FixedDetections {
  const [images = 0, proposals = 0, classes = 0] = logits.shape;
  const all = ops.view(ops.sigmoid(logits.to('float32')).contiguous(), [images, -1]);
  const [scores, places] = bestOf(all, Math.min(maxDetections, proposals * classes));
  const inside = ops.minimum(ops.clamp(boxes, { min: 0 }), sizes.to(boxes.dtype));
  return {
    pixels: 'network',
    boxes: rowsAt(inside, ops.div(places, classes, { rounding_mode: 'floor' })).to('float32'),
    scores,
    labels: ops.add(ops.remainder(places, classes), 1),
    valid: ops.ge(scores, scoreThreshold),
  };
}
