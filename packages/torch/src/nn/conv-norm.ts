// A convolution and the unchanging batch norm behind it as one convolution: weight times scale, and a bias. One pass over
// the features less, forward and backward. The modules keep their parameters and names.
import { autocastDType } from '../amp/autocast.js';
import { isGradEnabled, noGrad } from '../tensor/autograd.js';
import { convert } from '../tensor/convert.js';
import { callTensorOp } from '../tensor/dispatch.js';
import { keep, scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Conv2d } from './conv.js';
import { type Folded, keepFolding, keptFolding } from './folded-weights.js';
import { AffineChannel2d, BatchNorm2d, type FrozenBatchNorm2d } from './norm.js';
import type { StateTensor } from './parameter.js';

/** Norms that are, at least in evaluation, a constant factor and offset a channel. */
export type FoldableNorm = AffineChannel2d | BatchNorm2d | FrozenBatchNorm2d;

/**
 * norm(conv(input)) by one convolution, [N, C, H, W]: with scale = norm.weight / sqrt(variance + eps), or norm.weight
 * where there are no statistics, its weight is
 * weight * scale, its bias norm.bias + (conv.bias - mean) * scale. Gradients reach conv.weight (and the parameters of a
 * batch norm in eval mode) through that product. Where none is wanted the folded weight is kept until one of the
 * tensors it was made from changes. A batch norm in training mode has no constant scale and runs as itself.
 */
export function convFrozenNorm(input: Tensor, conv: Conv2d, norm: FoldableNorm): Tensor {
  return scope(() => {
    if (norm instanceof BatchNorm2d && norm.training) return norm.forward(conv.forward(input));
    const sources = [conv.weight, norm.weight, norm.bias];
    if (!(norm instanceof AffineChannel2d)) sources.push(norm.runningVar, norm.runningMean);
    if (conv.bias) sources.push(conv.bias);
    const isLearned = isGradEnabled() && sources.some((tensor) => tensor.requiresGrad);
    const { weight, bias } = isLearned ? fold(conv, norm) : foldOnce(conv, norm, sources);
    return conv.convolve(input, weight, bias);
  });
}

function foldOnce(conv: Conv2d, norm: FoldableNorm, sources: readonly StateTensor[]): Folded {
  const dtype = autocastDType(conv.weight.device);
  const versions = sources.map((tensor) => tensor.version);
  const kept = keptFolding(conv, norm);
  if (kept && kept.dtype === dtype && versions.every((v, i) => v === kept.versions[i])) return kept;
  const made = noGrad(() => {
    const { weight, bias } = fold(conv, norm);
    // Autocasting would cast both again at every call.
    return keep(dtype ? { weight: convert(weight, dtype), bias: convert(bias, dtype) } : { weight, bias });
  });
  keepFolding(conv, norm, { ...made, versions, dtype });
  return made;
}

function fold(conv: Conv2d, norm: FoldableNorm): Folded {
  if (norm instanceof AffineChannel2d) {
    const weight = callTensorOp(
      'aten::mul.Tensor',
      conv.weight,
      callTensorOp('aten::view', norm.weight, [-1, 1, 1, 1]),
    );
    return {
      weight,
      bias: conv.bias
        ? callTensorOp('aten::addcmul', norm.bias, conv.bias, norm.weight)
        : callTensorOp('aten::alias', norm.bias),
    };
  }
  const inverse = callTensorOp('aten::rsqrt', callTensorOp('aten::add.Scalar', norm.runningVar, norm.eps));
  const scale = callTensorOp('aten::mul.Tensor', norm.weight, inverse);
  const weight = callTensorOp('aten::mul.Tensor', conv.weight, callTensorOp('aten::view', scale, [-1, 1, 1, 1]));
  const mean = conv.bias ? callTensorOp('aten::sub.Tensor', norm.runningMean, conv.bias) : norm.runningMean;
  return { weight, bias: callTensorOp('aten::addcmul', norm.bias, mean, scale, -1) };
}
