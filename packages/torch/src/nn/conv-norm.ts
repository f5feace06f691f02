// A convolution and the unchanging batch norm behind it, in fewer passes over the features, forward and backward. The modules keep
// their parameters and names.
import { autocastDType } from '../amp/autocast.js';
import { keepsNormsApart } from '../kernels/winograd-conv.js';
import { isGradEnabled } from '../tensor/autograd.js';
import { convert } from '../tensor/convert.js';
import { callTensorOp } from '../tensor/dispatch.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { type BehindNorm, type ConvWeights, constantConvInto, isWrittenInto } from './constant-conv.js';
import { addThenRelu, type Conv2d } from './conv.js';
import { type KeptForms, keptWhileUnchanged } from './folded-weights.js';
import { AffineChannel2d, BatchNorm2d, type FrozenBatchNorm2d, GroupNorm } from './norm.js';
import type { StateTensor } from './parameter.js';

/** Norms that are, at least in evaluation, a constant factor and offset a channel. */
export type FoldableNorm = AffineChannel2d | BatchNorm2d | FrozenBatchNorm2d;

/**
 * relu(norm(conv(input)) + residual), [N, C, H, W]. On the CPU a norm that is constant disappears into the convolution's weight
 * (convFrozenNorm); on a card, where making the weight costs more than it saves, the norm and all behind it are one pass
 * (convScaleShift).
 */
export function convNormRelu(
  input: Tensor,
  conv: Conv2d,
  norm: FoldableNorm | GroupNorm,
  behind: BehindNorm = {},
): Tensor {
  if (norm instanceof GroupNorm) return addThenRelu(norm.forward(conv.forward(input)), behind);
  return input.device.startsWith('cuda')
    ? convScaleShift(input, conv, norm, behind)
    : convFrozenNorm(input, conv, norm, behind);
}

/**
 * relu(norm(conv(input)) + residual) by one convolution, [N, C, H, W]: with scale = norm.weight / sqrt(variance + eps), or
 * norm.weight where there are no statistics, its weight is
 * weight * scale, its bias norm.bias + (conv.bias - mean) * scale. Gradients reach conv.weight (and the parameters of a
 * batch norm in eval mode) through that product. Where none is wanted the folded weight is kept until one of the
 * tensors it was made from changes. A batch norm in training mode has no constant scale and runs as itself, as does every norm
 * where convolutions are to be exact.
 */
export function convFrozenNorm(input: Tensor, conv: Conv2d, norm: FoldableNorm, behind: BehindNorm = {}): Tensor {
  return scope(() => {
    if ((norm instanceof BatchNorm2d && norm.training) || keepsNormsApart())
      return addThenRelu(norm.forward(conv.forward(input)), behind);
    const sources = [conv.weight, ...factorSources(conv, norm)];
    if (isLearned(sources)) {
      const scaled = scaledWhereLearned(input, conv, norm, behind);
      if (scaled) return scaled;
      const { weight, bias } = fold(conv, norm);
      const learned = conv.learning([input], { weight, bias }, behind)?.[0];
      return learned ?? addThenRelu(conv.convolve(input, weight, bias), behind);
    }
    const all = conv.constant(input, behind, foldedWeights(conv, norm));
    if (all) return all;
    const { weight, bias } = foldOnce(conv, norm, sources);
    return addThenRelu(conv.convolve(input, weight, bias), behind);
  });
}

/** The same where the weight alone learns and can be scaled as it is read: nothing is folded. */
function scaledWhereLearned(input: Tensor, conv: Conv2d, norm: FoldableNorm, behind: BehindNorm): Tensor | undefined {
  const constant = factorSources(conv, norm);
  if (isLearned(constant) || !conv.takesScale(input)) return undefined;
  const { scale, shift } = keptWhileUnchanged([conv, norm], 'factors', constant, undefined, () =>
    singleFactors(conv, norm),
  );
  return conv.learning([input], { weight: conv.weight, bias: shift, scale }, behind)?.[0];
}

/**
 * relu(norm(conv(input + added))) written to `into`, a map or a slice of its channels that shares no memory with what is read. Gives
 * false, with nothing done, where there is no such way: where gradients are recorded, other than by a 3x3 convolution in float32 at stride
 * 1, and for small maps.
 * @param into [N, out, H, W]; input and added [N, C, H, W], pixel by pixel in memory
 */
export function convNormReluInto(
  into: Tensor,
  maps: { readonly input: Tensor; readonly added: Tensor | undefined },
  conv: Conv2d,
  norm: FoldableNorm | GroupNorm,
): boolean {
  if (!isFoldable(norm)) return false;
  return scope(() => constantConvInto(into, maps, conv.geometry, foldedWeights(conv, norm)));
}

/** Whether {@link convNormReluInto} takes such a map, so that a place for it is worth making. */
export function isConvNormReluInto(input: Tensor, conv: Conv2d, norm: FoldableNorm | GroupNorm): boolean {
  return isFoldable(norm) && isWrittenInto(input, conv.geometry, foldedWeights(conv, norm));
}

function isFoldable(norm: FoldableNorm | GroupNorm): norm is FoldableNorm {
  return !(norm instanceof GroupNorm) && !(norm instanceof BatchNorm2d && norm.training);
}

/**
 * The same, and what is behind it, by the convolution without a bias and one pass over its output: times scale, plus shift, plus
 * the residual, cut at zero. Scale and shift are kept as folded weights are; in autocasting so is the convolution's weight in
 * the half type, where it does not learn. A norm that learns runs as itself.
 */
export function convScaleShift(
  input: Tensor,
  conv: Conv2d,
  norm: FoldableNorm,
  { residual, relu = false }: BehindNorm = {},
): Tensor {
  return scope(() => {
    const sources = factorSources(conv, norm);
    if ((norm instanceof BatchNorm2d && norm.training) || isLearned(sources) || keepsNormsApart())
      return addThenRelu(norm.forward(conv.forward(input)), { residual, relu });
    const dtype = autocastDType(input.device);
    const { weight, scale, shift } =
      dtype === undefined || isLearned([conv.weight])
        ? {
            weight: conv.weight,
            ...keptWhileUnchanged([conv, norm], 'factors', sources, undefined, () => singleFactors(conv, norm)),
          }
        : keptWhileUnchanged([conv, norm], 'cast weight and factors', [conv.weight, ...sources], dtype, () => ({
            weight: convert(conv.weight, dtype),
            ...singleFactors(conv, norm),
          }));
    const output = conv.convolve(input, weight, undefined);
    const added = residual && convert(residual, output.dtype);
    return callTensorOp('goshawk::scale_shift', output, scale, shift, added, relu);
  });
}

function foldedWeights(conv: Conv2d, norm: FoldableNorm): ConvWeights {
  const sources = [conv.weight, ...factorSources(conv, norm)];
  return { owners: [conv, norm], sources, shape: conv.weight.shape, make: () => fold(conv, norm) };
}

/** What a pair's scale and shift are made of. */
function factorSources(conv: Conv2d, norm: FoldableNorm): StateTensor[] {
  const sources = [norm.weight, norm.bias];
  if (!(norm instanceof AffineChannel2d)) sources.push(norm.runningVar, norm.runningMean);
  if (conv.bias) sources.push(conv.bias);
  return sources;
}

function isLearned(tensors: readonly StateTensor[]): boolean {
  return isGradEnabled() && tensors.some((tensor) => tensor.requiresGrad);
}

function foldOnce(conv: Conv2d, norm: FoldableNorm, sources: readonly StateTensor[]): KeptForms['folded'] {
  const dtype = autocastDType(conv.weight.device);
  return keptWhileUnchanged([conv, norm], 'folded', sources, dtype, () => {
    const { weight, bias } = fold(conv, norm);
    // Autocasting would cast both again at every call.
    return dtype ? { weight: convert(weight, dtype), bias: convert(bias, dtype) } : { weight, bias };
  });
}

function fold(conv: Conv2d, norm: FoldableNorm): KeptForms['folded'] {
  const { scale, shift } = factors(conv, norm);
  const weight = callTensorOp('aten::mul.Tensor', conv.weight, callTensorOp('aten::view', scale, [-1, 1, 1, 1]));
  return { weight, bias: shift };
}

/** norm(conv(input)) = scale * (conv without bias)(input) + shift. Never the parameters themselves. */
function factors(conv: Conv2d, norm: FoldableNorm): KeptForms['factors'] {
  if (norm instanceof AffineChannel2d)
    return {
      scale: callTensorOp('aten::alias', norm.weight),
      shift: conv.bias
        ? callTensorOp('aten::addcmul', norm.bias, conv.bias, norm.weight)
        : callTensorOp('aten::alias', norm.bias),
    };
  const inverse = callTensorOp('aten::rsqrt', callTensorOp('aten::add.Scalar', norm.runningVar, norm.eps));
  const scale = callTensorOp('aten::mul.Tensor', norm.weight, inverse);
  const mean = conv.bias ? callTensorOp('aten::sub.Tensor', norm.runningMean, conv.bias) : norm.runningMean;
  return { scale, shift: callTensorOp('aten::addcmul', norm.bias, mean, scale, -1) };
}

/** Half types are scaled in float32. */
function singleFactors(conv: Conv2d, norm: FoldableNorm): KeptForms['factors'] {
  const { scale, shift } = factors(conv, norm);
  const dtype = scale.dtype === 'float64' ? 'float64' : 'float32';
  return { scale: convert(scale, dtype), shift: convert(shift, dtype) };
}
