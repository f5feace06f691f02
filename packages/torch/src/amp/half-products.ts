// Which half types this processor multiplies (native/kernels/half-products.cc).
import { native } from '../tensor/native.js';
import type { AutocastDType } from './autocast.js';

/**
 * Whether the processor has instructions for products of the type that the addon is compiled for. Where it has none, convolutions and
 * matrix products of such tensors on the CPU are computed in float32 and rounded once, in more time than those of float32 take.
 */
export function multiplies(dtype: AutocastDType): boolean {
  return native.multiplies(dtype);
}
