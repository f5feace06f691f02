// Activations by name, in the input's own memory where nothing else needs it.
import { isGradEnabled, ops, type Tensor } from '@goshawk/torch';

/** hardswish: x * clamp(x + 3, 0, 6) / 6 (MobileNetV3); silu: x * sigmoid(x), EfficientDet's swish. */
export type Activation = 'none' | 'relu' | 'relu6' | 'hardswish' | 'silu';

/** Writes over `input`, the output of a convolution or norm, where its gradient does not need what was there. */
export function activate(input: Tensor, activation: Activation): Tensor {
  switch (activation) {
    case 'none':
      return input;
    case 'relu':
      return ops.relu_(input);
    case 'relu6':
      return ops.hardtanh_(input, { min_val: 0, max_val: 6 });
    case 'hardswish':
      return isGradEnabled() ? ops.hardswish(input) : ops.hardswish_(input);
    case 'silu':
      return isGradEnabled() ? ops.silu(input) : ops.silu_(input);
  }
}
