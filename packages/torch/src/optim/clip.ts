// The size of gradients, and its limits.
import type { Parameter } from '../nn/parameter.js';
import { noGrad } from '../tensor/autograd.js';
import { callOp, callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';

export interface NormOptions {
  /** p of the p-norm; Infinity for the largest absolute value. Default 2. */
  readonly normType?: number;
}

/** The norm of all gradients as one vector; 0 without any. */
export function gradNorm(parameters: Iterable<Parameter>, { normType = 2 }: NormOptions = {}): number {
  return noGrad(() => normOf(gradientsOf(parameters), normType));
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
    const norm = normOf(gradients, normType);
    const factor = maxNorm / (norm + 1e-6);
    if (factor < 1) callOp('aten::_foreach_mul_.Scalar', gradients, factor);
    return norm;
  });
}

/** Clamps every element of the gradients to -limit..limit. */
export function clipGradValue(parameters: Iterable<Parameter>, limit: number): void {
  noGrad(() => {
    for (const gradient of gradientsOf(parameters)) callOp('aten::clamp_', gradient, -limit, limit);
  });
}

/** Whether any element is infinite or not a number. */
export function holdsNonFinite(tensors: readonly Tensor[]): boolean {
  // The largest absolute value cannot overflow as a sum of squares can, and is NaN where an element is.
  return noGrad(() => !Number.isFinite(normOf(tensors, Number.POSITIVE_INFINITY)));
}

function gradientsOf(parameters: Iterable<Parameter>): Tensor[] {
  const gradients: Tensor[] = [];
  for (const parameter of parameters) {
    const gradient = parameter.grad;
    if (gradient) gradients.push(gradient);
  }
  return gradients;
}

function normOf(tensors: readonly Tensor[], normType: number): number {
  if (tensors.length === 0) return 0;
  const norms = callOp('aten::_foreach_norm.Scalar', tensors, normType) as Tensor[];
  return callTensorOp('aten::linalg_vector_norm', callTensorOp('aten::stack', norms), normType).item();
}
