// Convolutions that learn, on the CPU: what comes behind them and what goes back through it in fewer passes, and several maps that share
// a weight at once.
import { autocastDType } from '../amp/autocast.js';
import { fitsWinograd, isExact } from '../kernels/winograd-conv.js';
import { isGradEnabled } from '../tensor/autograd.js';
import { convert } from '../tensor/convert.js';
import { callOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';
import type { BehindNorm, ConvGeometry } from './constant-conv.js';

/**
 * relu(conv(input) + residual) of each input, [N, C, H, W] of any sizes, where gradients of maps that lie pixel by pixel are recorded;
 * undefined elsewhere. The bias gets its gradient by exact sums.
 * @param behind a residual goes with one input
 */
export function learningConv(
  inputs: readonly Tensor[],
  geometry: ConvGeometry,
  { weight, bias }: { readonly weight: Tensor; readonly bias: Tensor | undefined },
  { residual, relu = false }: BehindNorm,
): Tensor[] | undefined {
  if (!isGradEnabled() || isExact()) return undefined;
  if (inputs.some((input) => input.device !== 'cpu' || input.strides[1] !== 1 || input.length === 0)) return undefined;
  const dtype = autocastDType('cpu') ?? weight.dtype;
  if (dtype !== 'float32' && dtype !== 'bfloat16') return undefined;
  const { stride, padding, dilation, groups, isPlain3x3 } = geometry;
  const operands = [weight, bias, residual].map((each) => each && convert(each, dtype));
  return callOp(
    'goshawk::conv_of_maps',
    inputs.map((input) => convert(input, dtype)),
    ...operands,
    stride,
    padding,
    dilation,
    groups,
    relu,
    dtype === 'float32' && isPlain3x3 && fitsWinograd(inputs, weight),
  ) as Tensor[];
}
