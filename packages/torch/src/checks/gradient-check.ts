// Gradients against finite differences, as torch.autograd.gradcheck.
import { grad, noGrad } from '../tensor/autograd.js';
import { tensor } from '../tensor/create.js';
import { callOp, callTensorOp } from '../tensor/dispatch.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { assertClose, type Tolerance } from './assert-close.js';

/**
 * Checks the gradients of `body`'s result with respect to float64 `inputs` (leaves that require grad; parameters too)
 * against central differences, with fixed weights over the result's elements.
 * @throws AssertionError naming the input and the worst element
 */
export function gradientCheck(
  body: () => Tensor,
  inputs: Readonly<Record<string, Tensor>>,
  { step = 1e-6, absolute = 1e-6, relative = 1e-5 }: Tolerance & { step?: number } = {},
): void {
  scope(() => {
    const loss = (): Tensor => {
      const result = body();
      const weights = Array.from({ length: result.length }, (_, i) => Math.sin(1 + 3 * i));
      const weighted = callTensorOp(
        'aten::mul.Tensor',
        result,
        tensor(weights, { dtype: 'float64', shape: result.shape }),
      );
      return callTensorOp('aten::sum', weighted);
    };
    const gradients = grad([loss()], Object.values(inputs));
    for (const [i, [name, input]] of Object.entries(inputs).entries()) {
      if (input.dtype !== 'float64') throw new TypeError(`gradientCheck: ${name} must be float64, got ${input.dtype}`);
      const values = Float64Array.from(input.toNumbers());
      const lossWith = (at: number, value: number): number =>
        noGrad(() => {
          const changed = values.slice();
          changed[at] = value;
          callOp('aten::copy_', input, tensor(changed, { shape: input.shape }));
          return loss().item();
        });
      const numeric = Array.from(
        values,
        (value, at) => (lossWith(at, value + step) - lossWith(at, value - step)) / (2 * step),
      );
      noGrad(() => callOp('aten::copy_', input, tensor(values, { shape: input.shape })));
      try {
        assertClose(gradients[i]?.toNumbers() ?? [], numeric, { absolute, relative });
      } catch (error) {
        if (error instanceof Error) error.message = `gradient of ${name}: ${error.message}`;
        throw error;
      }
    }
  });
}
