// RoIAlign over the levels of a feature pyramid; a box's level follows from its size.
import { ops, roiAlignMultilevel, type Tensor } from '@goshawk/torch';
import type { Features } from '../structures.js';

export interface RoiPoolerOptions {
  /** Cells on each side of the output. */
  readonly outputSize: number;
  /** Samples along each side of a cell; 0: as many as the box has pixels there. */
  readonly samplingRatio: number;
}

// Feature Pyramid Networks, equation 1: a box of 224 pixels, ImageNet's size, belongs to level 4.
const CANONICAL_SIZE = 224;
const CANONICAL_LEVEL = 4;
// Keeps sizes that are exact powers of two on their level in spite of rounding; torchvision's value.
const LEVEL_EPSILON = 1e-6;

/** Index into the levels (finest first) of each [K, 4] xyxy box, int64. */
export function assignLevels(boxes: Tensor, finestLevel: number, levelCount: number): Tensor {
  const [x1, y1, x2, y2] = ops.unbind(boxes, { dim: 1 }) as [Tensor, Tensor, Tensor, Tensor];
  const size = ops.sqrt(ops.mul(ops.sub(x2, x1), ops.sub(y2, y1)));
  const level = ops.floor(ops.add(ops.add(ops.log2(ops.div(size, CANONICAL_SIZE)), CANONICAL_LEVEL), LEVEL_EPSILON));
  const last = finestLevel + levelCount - 1;
  return ops.sub(ops.clamp(level, { min: finestLevel, max: last }), finestLevel).to('int64');
}

/** [K, 5] rows (image index, x1, y1, x2, y2) of the boxes of all images. */
export function roisOf(boxes: readonly Tensor[]): Tensor {
  return ops.cat(boxes.map((own, image) => ops.cat([ops.new_full(own, [own.size(0), 1], image), own], { dim: 1 })));
}

/**
 * @param features pyramid levels, finest first
 * @param boxes [K_i, 4] xyxy in network pixels, a tensor an image
 * @param paddedHeight height of the padded batch, from which the strides follow
 * @returns [sum of K_i, C, outputSize, outputSize]
 */
export function poolRois(
  features: Features,
  boxes: readonly Tensor[],
  paddedHeight: number,
  options: RoiPoolerOptions,
): Tensor {
  const scales = features.map((feature) => 2 ** Math.round(Math.log2(feature.size(2) / paddedHeight)));
  const rois = roisOf(boxes);
  const levels = assignLevels(ops.narrow(rois, 1, 1, 4), Math.round(-Math.log2(scales[0] ?? 1)), features.length);
  return roiAlignMultilevel(features, rois, levels, {
    spatialScales: scales,
    outputSize: options.outputSize,
    samplingRatio: options.samplingRatio,
    aligned: false,
  });
}
