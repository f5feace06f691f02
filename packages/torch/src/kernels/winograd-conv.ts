// 3x3 convolutions with fewer products (Lavin and Gray 2015); the kernel is native/kernels/winograd.cc.
import { autocastDType } from '../amp/autocast.js';
import { callOp, callTensorOp } from '../tensor/dispatch.js';
import { native } from '../tensor/native.js';
import type { Tensor } from '../tensor/tensor.js';

/**
 * The convolution by a 3x3 kernel at stride 1 with a padding of 1, with some 1e-5 of the largest value as error. On
 * processors that do not multiply and add in one instruction it is the engine's own.
 * @param input [N, C, H, W] float32, best in the channels_last format, in which the result is
 * @param weight [out, C, 3, 3] float32
 */
export function winogradConv3x3(input: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  return callTensorOp('goshawk::winograd_conv3x3', input, weight, bias);
}

/** A 3x3 kernel [out, C, 3, 3] float32 as {@link winogradConvByKernels} takes it, four times as large. */
export function winogradKernels(weight: Tensor): Tensor {
  return callTensorOp('goshawk::winograd_kernels', weight);
}

/**
 * The same convolution by kernels that were transformed before, then + bias, + residual, and a ReLU. No gradients.
 * @param input [N, C, H, W] float32
 * @param outChannels of the weight
 * @param behind bias [out]; residual of the result's shape
 */
export function winogradConvByKernels(
  input: Tensor,
  kernels: Tensor,
  outChannels: number,
  behind: { readonly bias?: Tensor | undefined; readonly residual?: Tensor | undefined; readonly relu?: boolean } = {},
): Tensor {
  const { bias, residual, relu = false } = behind;
  return callTensorOp('goshawk::winograd_conv3x3_by_kernels', input, kernels, outChannels, bias, residual, relu);
}

/**
 * The same convolution of input + added, written to `into`. All may be slices of the channels of maps that lie pixel by pixel; `into`
 * may share no memory with what is read. No gradients.
 * @param into [N, out, H, W]; input and added [N, C, H, W]; bias [out]
 */
export function winogradConvInto(
  into: Tensor,
  input: Tensor,
  kernels: Tensor,
  behind: { readonly added?: Tensor | undefined; readonly bias?: Tensor | undefined; readonly relu?: boolean } = {},
): void {
  const { added, bias, relu = false } = behind;
  callOp('goshawk::winograd_conv3x3_into', into, input, added, kernels, bias, relu);
}

/** Whether the channels of a pixel, all or a slice, lie side by side, and the pixels row by row at one distance. */
export function liesByPixel({ shape, strides }: Tensor): boolean {
  const [, channels = 0, height = 0, width = 0] = shape;
  const [image = 0, channel = 0, row = 0, pixel = 0] = strides;
  return channel === 1 && pixel >= channels && row === width * pixel && image === height * row;
}

let isAllowed = process.env.GOSHAWK_WINOGRAD !== '0';
let areExact = false;

/**
 * Whether convolutions may be computed so where that is faster, and by weights in another order with what is behind them. Default
 * true, unless GOSHAWK_WINOGRAD=0 is set.
 * @returns what held before
 */
export function allowWinograd(flag: boolean): boolean {
  const before = isAllowed;
  isAllowed = flag;
  return before;
}

/**
 * Computes convolutions by the engine's own and each norm behind them as a step of its own, for this thread of JavaScript: neither
 * by fewer products nor by weights that a norm was folded into. Default false.
 * @returns what held before
 */
export function setExactConvolutions(flag: boolean): boolean {
  const before = areExact;
  areExact = flag;
  return before;
}

/** Whether norms stay steps of their own. */
export function keepsNormsApart(): boolean {
  return areExact;
}

/** Whether convolutions are the engine's own. */
export function isExact(): boolean {
  return areExact || !isAllowed;
}

interface Least {
  readonly channels: number;
  readonly cells: number;
}

// Measured on an AVX-512 server: below, transforming the kernel takes as long as is saved.
const LEARNING: Least = { channels: 32, cells: 1024 };
/** Where the kernels are transformed already: until reading them takes as long. Of fewer channels there is little to save. */
const BY_KERNELS: Least = { channels: 26, cells: 128 };

/** Whether that is faster than the engine's for these maps: large ones in float32, pixel by pixel in memory. */
export function isWinogradFaster(input: Tensor, weight: Tensor): boolean {
  return weight.dtype === 'float32' && isSingle(input) && isLarge(input, weight.shape, LEARNING);
}

/** The same for maps that share the weight and are computed together, in float32 whatever their type is. */
export function fitsWinograd(inputs: readonly Tensor[], weight: Tensor): boolean {
  const cells = inputs.reduce((sum, input) => sum + cellsOf(input), 0);
  return inputs.every((input) => isLarge(input, weight.shape, LEARNING, cells)) && weight.dtype === 'float32';
}

/** The same for a map in float32 and a weight [out, C, 3, 3] that {@link winogradKernels} transformed. */
export function isWinogradFasterByKernels(input: Tensor, weightShape: readonly number[]): boolean {
  return input.dtype === 'float32' && isLarge(input, weightShape, BY_KERNELS);
}

function cellsOf({ shape: [images = 0, , height = 0, width = 0] }: Tensor): number {
  return images * height * width;
}

function isSingle({ dtype }: Tensor): boolean {
  return dtype === 'float32' && autocastDType('cpu') === undefined;
}

function isLarge(input: Tensor, weightShape: readonly number[], least: Least, cells: number = cellsOf(input)): boolean {
  if (isExact() || !native.isWinogradFaster()) return false;
  const [outChannels = 0, inChannels = 0] = weightShape;
  return (
    inChannels >= least.channels &&
    outChannels >= least.channels &&
    cells >= least.cells &&
    input.device === 'cpu' &&
    input.strides[1] === 1
  );
}
