// RoIAlign (He et al., Mask R-CNN, 2017, section 3); the kernel is native/kernels/roi-align.cc.
import { callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';

/** Bins of the output: one number for both sides, or `[height, width]`. */
export type PooledSize = number | readonly [number, number];

export interface RoiSamplingOptions {
  readonly outputSize: PooledSize;
  /** Samples a bin and axis; 0, the default, takes as many as the bin is pixels long, rounded up. */
  readonly samplingRatio?: number;
  /**
   * true: pixel centres lie at half coordinates, as in detectron2. Default false, the legacy form of Detectron,
   * maskrcnn-benchmark and torchvision's detectors: no shift, and RoIs at least one pixel long.
   */
  readonly aligned?: boolean;
}

/**
 * Averages `input` inside each RoI, bin by bin, at bilinear samples.
 * @param input [N, C, H, W] float32, bfloat16, float16, float64, or uint8 (then the result is float32 without gradient)
 * @param rois [K, 5] rows of batch index, x1, y1, x2, y2 in image pixels; one that is not finite gives zeros
 * @returns [K, C, height, width] in the input's dtype and memory format; its gradient goes to `input` alone
 * @throws Error when a shape, a dtype or a batch index does not fit
 */
export function roiAlign(
  input: Tensor,
  rois: Tensor,
  { spatialScale = 1, outputSize, samplingRatio = 0, aligned = false }: RoiSamplingOptions & { spatialScale?: number },
): Tensor {
  const [height, width] = sides(outputSize);
  return callTensorOp('goshawk::roi_align', input, rois, spatialScale, height, width, samplingRatio, aligned);
}

/**
 * RoIAlign where each RoI reads one level of a feature pyramid; the result is in the RoIs' order.
 * @param inputs levels of [N, C, H_l, W_l], one dtype
 * @param levels [K] int64, for each RoI its index into `inputs`
 * @throws Error when a shape, a dtype, a level or a batch index does not fit
 */
export function roiAlignMultilevel(
  inputs: readonly Tensor[],
  rois: Tensor,
  levels: Tensor,
  options: RoiSamplingOptions & {
    /** Feature pixels per image pixel, a level: 1 / stride. */
    readonly spatialScales: readonly number[];
  },
): Tensor {
  const { spatialScales, outputSize, samplingRatio = 0, aligned = false } = options;
  const [height, width] = sides(outputSize);
  return callTensorOp(
    'goshawk::roi_align_multilevel',
    inputs,
    rois,
    levels,
    spatialScales,
    height,
    width,
    samplingRatio,
    aligned,
  );
}

/** `[height, width]` of an output size. */
export function sides(size: PooledSize): readonly [number, number] {
  return typeof size === 'number' ? [size, size] : size;
}
