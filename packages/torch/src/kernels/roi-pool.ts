// RoIPool (Girshick, Fast R-CNN, 2015, section 2.1); the kernel is native/kernels/roi-pool.cc.
import { callOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';
import { type PooledSize, sides } from './roi-align.js';

/**
 * The maximum of each bin of each RoI, both rounded to whole pixels.
 * @param input [N, C, H, W] floating point
 * @param rois [K, 5] rows of batch index, x1, y1, x2, y2 in image pixels; the end pixels belong to the RoI
 * @returns [K, C, height, width], 0 where a bin misses the input; its gradient goes to `input` alone
 * @throws Error when a shape, a dtype or a batch index does not fit
 */
export function roiPool(
  input: Tensor,
  rois: Tensor,
  { spatialScale = 1, outputSize }: { readonly spatialScale?: number; readonly outputSize: PooledSize },
): Tensor {
  const [height, width] = sides(outputSize);
  const [output, argmax] = callOp('goshawk::roi_pool', input, rois, spatialScale, height, width) as [Tensor, Tensor];
  argmax.dispose();
  return output;
}
