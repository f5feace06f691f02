// Convolutions that learn, on the CPU: what comes behind them and what goes back through it in fewer passes, and several maps that share
// a weight at once.
import { autocastDType } from '../amp/autocast.js';
import { multiplies } from '../amp/half-products.js';
import { fitsWinograd, isExact } from '../kernels/winograd-conv.js';
import { isGradEnabled } from '../tensor/autograd.js';
import { convert } from '../tensor/convert.js';
import { callOp } from '../tensor/dispatch.js';
import { native } from '../tensor/native.js';
import type { Tensor } from '../tensor/tensor.js';
import type { BehindNorm, ConvGeometry } from './constant-conv.js';

export interface LearningWeights {
  /** [out, C, height, width] */
  readonly weight: Tensor;
  /** [out] */
  readonly bias: Tensor | undefined;
  /** [out] float32, a factor of the weight that does not learn, where {@link takesSingleWeight}. */
  readonly scale?: Tensor;
}

/**
 * relu(conv(input) + residual) of each input, [N, C, H, W] of any sizes, where gradients of maps that lie pixel by pixel are recorded;
 * undefined elsewhere. The bias gets its gradient by exact sums.
 * @param behind a residual goes with one input
 */
export function learningConv(
  inputs: readonly Tensor[],
  geometry: ConvGeometry,
  { weight, bias, scale }: LearningWeights,
  { residual, relu = false }: BehindNorm,
): Tensor[] | undefined {
  if (!takesMaps(inputs)) return undefined;
  const dtype = autocastDType('cpu') ?? weight.dtype;
  if (dtype !== 'float32' && dtype !== 'bfloat16') return undefined;
  const { stride, padding, dilation, groups, isPlain3x3 } = geometry;
  const weightType = takesSingleWeight(inputs, geometry, weight) ? 'float32' : dtype;
  // Matrix tiles have no use for fewer products.
  const inSingles = dtype === 'float32' || (weightType === 'float32' && !multiplies('bfloat16'));
  return callOp(
    'goshawk::conv_of_maps',
    inputs.map((input) => convert(input, dtype)),
    convert(weight, weightType),
    bias && convert(bias, weightType),
    scale,
    residual && convert(residual, dtype),
    stride,
    padding,
    dilation,
    groups,
    relu,
    inSingles && isPlain3x3 && fitsWinograd(inputs, weight),
  ) as Tensor[];
}

/**
 * Whether autocasting to bfloat16 computes such a convolution with the weight as it is, in float32, and a factor of each of its outputs:
 * by the processor's matrix tiles (native/kernels/half-conv.cc), or in float32 where the processor has no products of bfloat16.
 */
export function takesSingleWeight(inputs: readonly Tensor[], geometry: ConvGeometry, weight: Tensor): boolean {
  if (autocastDType('cpu') !== 'bfloat16' || weight.dtype !== 'float32' || !takesMaps(inputs)) return false;
  return !multiplies('bfloat16') || (native.convolvesHalves() && fitsTiles(geometry, weight));
}

function fitsTiles(geometry: ConvGeometry, weight: Tensor): boolean {
  const { stride, padding, dilation, groups } = geometry;
  const [outChannels = 0, inChannels = 0, height = 0, width = 0] = weight.shape;
  const keepsResolution = [0, 1].every((side) => padding[side] === (dilation[side]! * (height - 1)) / 2);
  return (
    height === width &&
    stride[0] === stride[1] &&
    dilation[0] === dilation[1] &&
    groups === 1 &&
    keepsResolution &&
    (height === 1 || stride[0] === 1) &&
    inChannels >= FEWEST_CHANNELS &&
    outChannels >= FEWEST_CHANNELS
  );
}

// Matrix tiles have 32 channels.
const FEWEST_CHANNELS = 32;

function takesMaps(inputs: readonly Tensor[]): boolean {
  if (!isGradEnabled() || isExact()) return false;
  return inputs.every((input) => input.device === 'cpu' && input.strides[1] === 1 && input.length > 0);
}
