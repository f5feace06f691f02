// The size of gradients, and its limits.
import type { Parameter } from '../nn/parameter.js';
import { noGrad } from '../tensor/autograd.js';
import { zeros } from '../tensor/create.js';
import { callOp, callTensorOp, hasOperator } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';

export interface NormOptions {
  /** p of the p-norm; Infinity for the largest absolute value. Default 2. */
  readonly normType?: number;
}

/** The norm of all gradients as one vector; 0 without any. */
export function gradNorm(parameters: Iterable<Parameter>, { normType = 2 }: NormOptions = {}): number {
  return noGrad(() => {
    const gradients = gradientsOf(parameters);
    return gradients.length === 0 ? 0 : normOf(gradients, normType).item();
  });
}

/**
 * Scales the gradients down so that their norm is at most `maxNorm`; returns the norm before. As
 * torch.nn.utils.clip_grad_norm_, which leaves gradients of norm 0 alone by adding 1e-6.
 */
export function clipGradNorm(
  parameters: Iterable<Parameter>,
  maxNorm: number,
  { normType = 2 }: NormOptions = {},
): number {
  return noGrad(() => {
    const gradients = gradientsOf(parameters);
    if (gradients.length === 0) return 0;
    const norm = normOf(gradients, normType).item();
    const factor = maxNorm / (norm + 1e-6);
    if (factor < 1) callOp('aten::_foreach_mul_.Scalar', gradients, factor);
    return norm;
  });
}

/**
 * clipGradNorm() without waiting for the gradients' device: the norm before stays there, a scalar to be read when the step is
 * done. Within the rounding of float32 the same; gradients that are not finite become NaN by it, as by PyTorch's.
 */
export function clipGradNormOnDevice(
  parameters: Iterable<Parameter>,
  maxNorm: number,
  { normType = 2 }: NormOptions = {},
): Tensor {
  return noGrad(() => {
    const gradients = gradientsOf(parameters);
    if (gradients.length === 0) return zeros([]);
    const norm = normOf(gradients, normType);
    const above = callTensorOp('aten::add.Scalar', norm, 1e-6);
    const factor = callTensorOp(
      'aten::clamp',
      callTensorOp('aten::mul.Scalar', callTensorOp('aten::reciprocal', above), maxNorm),
      null,
      1,
    );
    if (hasOperator('aten::_foreach_mul_.Tensor')) callOp('aten::_foreach_mul_.Tensor', gradients, factor);
    else
      callOp(
        'aten::_foreach_mul_.List',
        gradients,
        gradients.map(() => factor),
      );
    return norm;
  });
}

/** Clamps every element of the gradients to -limit..limit. */
export function clipGradValue(parameters: Iterable<Parameter>, limit: number): void {
  noGrad(() => {
    for (const gradient of gradientsOf(parameters)) callOp('aten::clamp_', gradient, -limit, limit);
  });
}

function gradientsOf(parameters: Iterable<Parameter>): Tensor[] {
  const gradients: Tensor[] = [];
  for (const parameter of parameters) {
    const gradient = parameter.grad;
    if (gradient) gradients.push(gradient);
  }
  return gradients;
}

/** Of one tensor or more; on the CPU a float64 scalar. */
function normOf(tensors: readonly Tensor[], normType: number): Tensor {
  return callTensorOp('goshawk::gradient_norm', tensors, normType);
}
