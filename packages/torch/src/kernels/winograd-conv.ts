// 3x3 convolutions with fewer products (Lavin and Gray 2015); the kernel is native/kernels/winograd-conv.cc.
import { autocastDType } from '../amp/autocast.js';
import { callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';

/**
 * The convolution by a 3x3 kernel at stride 1 with a padding of 1, with some 1e-6 of the largest value as error. On
 * processors without 512-bit vectors it is the engine's own.
 * @param input [N, C, H, W] float32, best in the channels_last format, in which the result is
 * @param weight [out, C, 3, 3] float32
 */
export function winogradConv3x3(input: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  return callTensorOp('goshawk::winograd_conv3x3', input, weight, bias);
}

let isAllowed = process.env.GOSHAWK_WINOGRAD !== '0';

/** Whether convolutions may be computed so where that is faster. Default true, unless GOSHAWK_WINOGRAD=0 is set. */
export function allowWinograd(flag: boolean): void {
  isAllowed = flag;
}

// Measured on an AVX-512 server: below, transforming the kernel takes as long as is saved.
const FEWEST_CHANNELS = 32;
const FEWEST_CELLS = 1024;

/** Whether that is faster than the engine's for these maps: large ones in float32, pixel by pixel in memory. */
export function isWinogradFaster(input: Tensor, weight: Tensor): boolean {
  if (!isAllowed) return false;
  const [outChannels = 0, inChannels = 0] = weight.shape;
  const [images = 0, , height = 0, width = 0] = input.shape;
  return (
    inChannels >= FEWEST_CHANNELS &&
    outChannels >= FEWEST_CHANNELS &&
    images * height * width >= FEWEST_CELLS &&
    input.device === 'cpu' &&
    input.dtype === 'float32' &&
    weight.dtype === 'float32' &&
    input.strides[1] === 1 &&
    autocastDType('cpu') === undefined
  );
}
