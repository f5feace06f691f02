// Convolutions where no gradients are wanted: the weight is laid out once as the kernel wants it, and what comes behind the convolution is
// done before its sums are written.
import { autocastDType } from '../amp/autocast.js';
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
  const autocast = autocastDType('cpu');
  if (geometry.isPlain3x3 && autocast === undefined && isWinogradFasterByKernels(input, shape)) {
    const { kernels, bias } = keptKernels(weights);
    return winogradConvByKernels(input, kernels, shape[0]!, { bias, residual, relu });
  }
  const dtype = autocast ?? sources[0]!.dtype;
  if ((dtype !== 'float32' && dtype !== 'bfloat16') || !hasOperator(POINTWISE)) return undefined;
  const { stride, padding, dilation, groups } = geometry;
  const values = convert(input, dtype);
  const place = [padding, stride, dilation, groups] as const;
  const { weight, bias } = keptWhileUnchanged(owners, 'reordered', sources, dtype, () => {
    const made = make();
    const typed = convert(made.weight, dtype);
    return {
      weight: callTensorOp(REORDER, typed, ...place, values.shape),
      bias: made.bias && own(convert(made.bias, dtype)),
    };
  });
  if (!residual) return callTensorOp(POINTWISE, values, weight, bias, ...place, relu ? 'relu' : 'none', [], '');
  const added = convert(residual, dtype);
  const activation = relu ? 'relu' : undefined;
  return callTensorOp(
    `${POINTWISE}.binary`,
    values,
    added,
    weight,
    bias,
    ...place,
    'add',
    1,
    activation,
    [],
    undefined,
  );
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
    const { kernels, bias } = keptKernels(weights);
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

function keptKernels({ owners, sources, make }: ConvWeights): KeptForms['winograd'] {
  return keptWhileUnchanged(owners, 'winograd', sources, undefined, () => {
    const made = make();
    return { kernels: winogradKernels(made.weight), bias: own(made.bias) };
  });
}

const POINTWISE = 'mkldnn::_convolution_pointwise';
const REORDER = 'mkldnn::_reorder_convolution_weight';

function isLearned(tensors: readonly (Tensor | undefined)[]): boolean {
  return tensors.some((tensor) => tensor?.requiresGrad);
}

/** Never a parameter itself, which others would free. */
function own<T extends Tensor | undefined>(tensor: T): T {
  return (tensor && callTensorOp('aten::alias', tensor)) as T;
}
