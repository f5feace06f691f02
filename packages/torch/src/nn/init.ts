// Initial values of parameters, with the formulas and defaults of torch.nn.init. All write in place and return the tensor.
import { noGrad } from '../tensor/autograd.js';
import { callOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';
import { StateTensor } from './parameter.js';
import { markDrawn, waits } from './undrawn.js';

/** What follows the layer; sets the gain of the Kaiming initialisers. */
export type Nonlinearity = 'linear' | 'sigmoid' | 'tanh' | 'relu' | 'leaky_relu' | 'selu';

export interface KaimingOptions {
  /** Negative slope of the leaky ReLU that follows. Default 0. */
  readonly a?: number;
  /** Keeps the variance going forward (fan_in, the default) or backward (fan_out). */
  readonly mode?: 'fan_in' | 'fan_out';
  /** Default 'leaky_relu', as in PyTorch. */
  readonly nonlinearity?: Nonlinearity;
}

export function constant<T extends Tensor>(tensor: T, value: number): T {
  if (tensor instanceof StateTensor) markDrawn(tensor);
  return fill(tensor, 'aten::fill_.Scalar', value);
}

export function normal<T extends Tensor>(tensor: T, { mean = 0, std = 1 }: { mean?: number; std?: number } = {}): T {
  return shallWait(tensor) ? tensor : fill(tensor, 'aten::normal_', mean, std);
}

/** Uniform in [from, to). Default [0, 1). */
export function uniform<T extends Tensor>(tensor: T, { from = 0, to = 1 }: { from?: number; to?: number } = {}): T {
  return shallWait(tensor) ? tensor : fill(tensor, 'aten::uniform_', from, to);
}

/** Normal, drawn again outside of [from, to]: the inverse of the distribution function over uniform draws. */
export function truncatedNormal<T extends Tensor>(
  tensor: T,
  { mean = 0, std = 1, from = -2, to = 2 }: { mean?: number; std?: number; from?: number; to?: number } = {},
): T {
  if (shallWait(tensor)) return tensor;
  const low = normalCdf((from - mean) / std);
  const high = normalCdf((to - mean) / std);
  fill(tensor, 'aten::uniform_', 2 * low - 1, 2 * high - 1);
  fill(tensor, 'aten::erfinv_');
  fill(tensor, 'aten::mul_.Scalar', std * Math.SQRT2);
  fill(tensor, 'aten::add_.Scalar', mean);
  return fill(tensor, 'aten::clamp_', from, to);
}

/** He et al. 2015, "Delving deep into rectifiers": uniform with std gain / sqrt(fan). */
export function kaimingUniform<T extends Tensor>(tensor: T, options: KaimingOptions = {}): T {
  const bound = Math.sqrt(3) * kaimingStd(tensor, options);
  return uniform(tensor, { from: -bound, to: bound });
}

/** He et al. 2015, "Delving deep into rectifiers": normal with std gain / sqrt(fan). */
export function kaimingNormal<T extends Tensor>(tensor: T, options: KaimingOptions = {}): T {
  return normal(tensor, { std: kaimingStd(tensor, options) });
}

/** Glorot and Bengio 2010: uniform with std gain * sqrt(2 / (fan in + fan out)). */
export function xavierUniform<T extends Tensor>(tensor: T, { gain = 1 }: { gain?: number } = {}): T {
  const bound = Math.sqrt(3) * xavierStd(tensor, gain);
  return uniform(tensor, { from: -bound, to: bound });
}

/** Glorot and Bengio 2010: normal with std gain * sqrt(2 / (fan in + fan out)). */
export function xavierNormal<T extends Tensor>(tensor: T, { gain = 1 }: { gain?: number } = {}): T {
  return normal(tensor, { std: xavierStd(tensor, gain) });
}

/** Inputs and outputs of one unit of a weight [out, in, ...kernel]; for transposed convolutions PyTorch reads it the same way. */
export function fans(tensor: Tensor): { fanIn: number; fanOut: number } {
  const [out = 0, inner = 0, ...kernel] = tensor.shape;
  if (tensor.rank < 2)
    throw new RangeError(`init: fans need a weight of rank 2 or more, got [${tensor.shape.join(', ')}]`);
  const field = kernel.reduce((product, side) => product * side, 1);
  return { fanIn: inner * field, fanOut: out * field };
}

function kaimingStd(tensor: Tensor, { a = 0, mode = 'fan_in', nonlinearity = 'leaky_relu' }: KaimingOptions): number {
  const { fanIn, fanOut } = fans(tensor);
  return gainOf(nonlinearity, a) / Math.sqrt(mode === 'fan_in' ? fanIn : fanOut);
}

function xavierStd(tensor: Tensor, gain: number): number {
  const { fanIn, fanOut } = fans(tensor);
  return gain * Math.sqrt(2 / (fanIn + fanOut));
}

function gainOf(nonlinearity: Nonlinearity, a: number): number {
  switch (nonlinearity) {
    case 'linear':
    case 'sigmoid':
      return 1;
    case 'tanh':
      return 5 / 3;
    case 'relu':
      return Math.SQRT2;
    case 'leaky_relu':
      return Math.sqrt(2 / (1 + a * a));
    case 'selu':
      return 3 / 4;
  }
}

// Abramowitz and Stegun 7.1.26 is too coarse here; the series converges fast for the few standard deviations in use.
function normalCdf(x: number): number {
  if (x > 8) return 1;
  if (x < -8) return 0;
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum) && n < 400; n++) {
    term *= (x * x) / (2 * n + 1);
    sum += term;
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}

/** Of a module's own tensors alone is known when they get values. */
function shallWait(tensor: Tensor): boolean {
  return tensor instanceof StateTensor && waits(tensor);
}

function fill<T extends Tensor>(tensor: T, operator: string, ...args: number[]): T {
  noGrad(() => {
    callOp(operator, tensor, ...args);
  });
  return tensor;
}
