// Convolutions where no gradients are wanted: the weight is laid out once as the kernel wants it, and what comes behind the convolution is
// done before its sums are written.
import { autocastDType } from '../amp/autocast.js';
import { multiplies } from '../amp/half-products.js';
import {
  isExact,
  isWinogradFasterByKernels,
  liesByPixel,
  winogradConvByKernels,
  winogradConvInto,
  winogradKernels,
} from '../kernels/winograd-conv.js';
import { isGradEnabled } from '../tensor/autograd.js';
import { convert } from '../tensor/convert.js';
import { callTensorOp, hasOperator } from '../tensor/dispatch.js';
import type { DType } from '../tensor/dtype.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { type KeptForms, keptWhileUnchanged } from './folded-weights.js';
import type { Layer } from './module.js';
import type { StateTensor } from './parameter.js';

/** What usually comes behind a norm or a convolution. */
export interface BehindNorm {
  /** Added to the output, of the same shape. */
  readonly residual?: Tensor | undefined;
  /** Default false. */
  readonly relu?: boolean | undefined;
}

/** Height first. */
type Sides = readonly [number, number];

export interface ConvGeometry {
  readonly stride: Sides;
  readonly padding: Sides;
  readonly dilation: Sides;
  readonly groups: number;
  /** 3x3 at stride 1 that keeps the resolution. */
  readonly isPlain3x3: boolean;
}

/** Where weight and bias of a convolution come from. */
export interface ConvWeights {
  /** The convolution and what it is folded with, or itself: they own what is kept. */
  readonly owners: readonly [Layer, Layer];
  /** What weight and bias are made of. */
  readonly sources: readonly StateTensor[];
  readonly shape: readonly number[];
  readonly make: () => { readonly weight: Tensor; readonly bias: Tensor | undefined };
}

/**
 * relu(conv(input) + residual) on the CPU, for maps that lie pixel by pixel; undefined where gradients are recorded, or
 * the engine has nothing better than its convolution. 3x3 convolutions in float32 take the short way (winograd-conv.ts), the others
 * oneDNN's with its weight reordered beforehand, which libtorch has from 2.0 on.
 */
export function constantConv(
  input: Tensor,
  geometry: ConvGeometry,
  weights: ConvWeights,
  { residual, relu = false }: BehindNorm,
): Tensor | undefined {
  if (isExact() || input.device !== 'cpu' || input.strides[1] !== 1 || input.length === 0) return undefined;
  if (isGradEnabled() && isLearned([input, residual, ...weights.sources])) return undefined;
  return scope(() => constantConvOf(input, geometry, weights, { residual, relu }));
}

function constantConvOf(
  input: Tensor,
  geometry: ConvGeometry,
  weights: ConvWeights,
  { residual, relu = false }: BehindNorm,
): Tensor | undefined {
  const { owners, sources, shape, make } = weights;
  const dtype = autocastDType('cpu') ?? sources[0]!.dtype;
  if (dtype !== 'float32' && dtype !== 'bfloat16') return undefined;
  // Values of bfloat16 are computed in float32 where the processor has no products of them.
  const computed = dtype === 'bfloat16' && !multiplies(dtype) ? 'float32' : dtype;
  const taken = (tensor: Tensor): Tensor => inType(inType(tensor, dtype), computed);
  const values = taken(input);
  if (geometry.isPlain3x3 && computed === 'float32' && isWinogradFasterByKernels(values, shape)) {
    const { kernels, bias } = keptKernels(weights, dtype);
    const added = residual && taken(residual);
    return inType(winogradConvByKernels(values, kernels, shape[0]!, { bias, residual: added, relu }), dtype);
  }
  if (!hasOperator(POINTWISE)) return undefined;
  const { stride, padding, dilation, groups } = geometry;
  const place = [padding, stride, dilation, groups] as const;
  const { weight, bias } = keptWhileUnchanged(owners, 'reordered', sources, dtype, () => {
    const made = make();
    return {
      weight: callTensorOp(REORDER, taken(made.weight), ...place, values.shape),
      bias: made.bias && own(taken(made.bias)),
    };
  });
  if (!residual) {
    const sums = callTensorOp(POINTWISE, values, weight, bias, ...place, relu ? 'relu' : 'none', [], '');
    return inType(sums, dtype);
  }
  const activation = relu ? 'relu' : undefined;
  const sums = callTensorOp(
    `${POINTWISE}.binary`,
    values,
    taken(residual),
    weight,
    bias,
    ...place,
    'add',
    1,
    activation,
    [],
    undefined,
  );
  return inType(sums, dtype);
}

/**
 * relu(conv(input + added)) written to `into`, as winogradConvInto() takes them. Does nothing and gives false where constantConv() would
 * take another way.
 */
export function constantConvInto(
  into: Tensor,
  { input, added }: { readonly input: Tensor; readonly added: Tensor | undefined },
  geometry: ConvGeometry,
  weights: ConvWeights,
): boolean {
  if (![into, ...(added ? [added] : [])].every(liesByPixel) || !isWrittenInto(input, geometry, weights)) return false;
  if (isGradEnabled() && isLearned([into, added])) return false;
  scope(() => {
    const { kernels, bias } = keptKernels(weights, 'float32');
    winogradConvInto(into, input, kernels, { added, bias, relu: true });
  });
  return true;
}

/** Whether {@link constantConvInto} takes such a map. */
export function isWrittenInto(input: Tensor, geometry: ConvGeometry, weights: ConvWeights): boolean {
  if (isExact() || !geometry.isPlain3x3 || autocastDType('cpu') !== undefined) return false;
  if (isGradEnabled() && isLearned([input, ...weights.sources])) return false;
  return liesByPixel(input) && isWinogradFasterByKernels(input, weights.shape);
}

/** @param dtype whose values the weight has, transformed in float32 */
function keptKernels({ owners, sources, make }: ConvWeights, dtype: 'float32' | 'bfloat16'): KeptForms['winograd'] {
  return keptWhileUnchanged(owners, 'winograd', sources, dtype, () => {
    const made = make();
    const rounded = (tensor: Tensor): Tensor => inType(inType(tensor, dtype), 'float32');
    return { kernels: winogradKernels(rounded(made.weight)), bias: made.bias && own(rounded(made.bias)) };
  });
}

const POINTWISE = 'mkldnn::_convolution_pointwise';
const REORDER = 'mkldnn::_reorder_convolution_weight';

function isLearned(tensors: readonly (Tensor | undefined)[]): boolean {
  return tensors.some((tensor) => tensor?.requiresGrad);
}

function inType(tensor: Tensor, dtype: DType): Tensor {
  return tensor.dtype === dtype ? tensor : convert(tensor, dtype);
}

/** Never a parameter itself, which others would free. */
function own<T extends Tensor | undefined>(tensor: T): T {
  return (tensor && callTensorOp('aten::alias', tensor)) as T;
}
