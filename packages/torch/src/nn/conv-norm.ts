// A convolution and the unchanging batch norm behind it as one convolution: weight times scale, and a bias. One pass over
// the features less, forward and backward. The modules keep their parameters and names.
import { autocastDType } from '../amp/autocast.js';
import { isGradEnabled, noGrad } from '../tensor/autograd.js';
import { callTensorOp } from '../tensor/dispatch.js';
import { keep, scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Conv2d } from './conv.js';
import { BatchNorm2d, type FrozenBatchNorm2d } from './norm.js';
import type { StateTensor } from './parameter.js';

interface Folded {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/** A folding kept for the next call, with what it was made from. */
interface Kept extends Folded {
  readonly norm: FrozenBatchNorm2d | BatchNorm2d;
  readonly versions: readonly number[];
  readonly dtype: string | undefined;
}

const folds = new WeakMap<Conv2d, Kept>();

/**
 * norm(conv(input)) by one convolution, [N, C, H, W]: with scale = norm.weight / sqrt(variance + eps) its weight is
 * weight * scale, its bias norm.bias + (conv.bias - mean) * scale. Gradients reach conv.weight (and the parameters of a
 * batch norm in eval mode) through that product. Where none is wanted the folded weight is kept until one of the
 * tensors it was made from changes. A batch norm in training mode has no constant scale and runs as itself.
 */
export function convFrozenNorm(input: Tensor, conv: Conv2d, norm: FrozenBatchNorm2d | BatchNorm2d): Tensor {
  return scope(() => {
    if (norm instanceof BatchNorm2d && norm.training) return norm.forward(conv.forward(input));
    const sources = [conv.weight, norm.runningVar, norm.runningMean, norm.weight, norm.bias];
    if (conv.bias) sources.push(conv.bias);
    const isLearned = isGradEnabled() && sources.some((tensor) => tensor.requiresGrad);
    const { weight, bias } = isLearned ? fold(conv, norm) : foldOnce(conv, norm, sources);
    return conv.convolve(input, weight, bias);
  });
}

/** Forgets the kept folded weight and frees its memory. */
export function dropFolded(conv: Conv2d): void {
  const kept = folds.get(conv);
  kept?.weight.dispose();
  kept?.bias.dispose();
  folds.delete(conv);
}

function foldOnce(conv: Conv2d, norm: FrozenBatchNorm2d | BatchNorm2d, sources: readonly StateTensor[]): Folded {
  const dtype = autocastDType(conv.weight.device);
  const versions = sources.map((tensor) => tensor.version);
  const kept = folds.get(conv);
  const isCurrent = kept?.norm === norm && kept.dtype === dtype && versions.every((v, i) => v === kept.versions[i]);
  if (isCurrent) return kept;
  dropFolded(conv);
  const made = noGrad(() => {
    const { weight, bias } = fold(conv, norm);
    // Autocasting would cast both again at every call.
    return keep(dtype ? { weight: weight.to(dtype), bias: bias.to(dtype) } : { weight, bias });
  });
  folds.set(conv, { ...made, norm, dtype, versions });
  return made;
}

function fold(conv: Conv2d, norm: FrozenBatchNorm2d | BatchNorm2d): Folded {
  const inverse = callTensorOp('aten::rsqrt', callTensorOp('aten::add.Scalar', norm.runningVar, norm.eps));
  const scale = callTensorOp('aten::mul.Tensor', norm.weight, inverse);
  const weight = callTensorOp('aten::mul.Tensor', conv.weight, callTensorOp('aten::view', scale, [-1, 1, 1, 1]));
  const mean = conv.bias ? callTensorOp('aten::sub.Tensor', norm.runningMean, conv.bias) : norm.runningMean;
  return { weight, bias: callTensorOp('aten::addcmul', norm.bias, mean, scale, -1) };
}
