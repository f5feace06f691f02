// What stands behind a convolution: norms, biases, scales and shifts.
import { callOp, type Tensor } from '@goshawk/torch';
import { FLOATS, type KernelCase, LAYOUTS, run } from './kernel-case.js';

/** Of the engine's own group norm on a card, whose weight and bias, and their gradients, are bfloat16 where its input is. */
const ROUNDED_PARAMETERS = { float32: 2 ** -8 };

export const batchNorm: KernelCase[] = LAYOUTS.flatMap((memoryFormat) =>
  (['float32', 'bfloat16'] as const).flatMap((dtype) =>
    [
      [2, 24, 30, 17],
      [3, 5, 4, 4],
    ].map(
      (shape): KernelCase => ({
        name: `${shape.join('x')}, ${dtype}, ${memoryFormat}`,
        inputs: (draw) => {
          const channels = [shape[1]!];
          const input = draw.values(shape, { low: -2, high: 4, dtype }).to({ memoryFormat });
          const [weight, bias] = [draw.values(channels), draw.values(channels)];
          return [input, weight, bias, draw.values(channels), draw.values(channels, { low: 0.5, high: 2 })];
        },
        compute: (input, weight, bias, mean, variance) => {
          const running = [mean!.clone(), variance!.clone()] as const;
          return [...run('batch_norm', input!, weight!, bias!, ...running, 0.1, 1e-5), ...running];
        },
        differentiate: [0, 1, 2],
        ...(dtype === 'float32' && { tolerance: 1e-4 }),
      }),
    ),
  ),
);

/** What several processes share a batch norm by. */
export const batchNormHalves: KernelCase[] = LAYOUTS.flatMap((memoryFormat) =>
  (['float32', 'bfloat16'] as const).map(
    (dtype): KernelCase => ({
      name: `${dtype}, ${memoryFormat}`,
      inputs: (draw) => {
        const map = (): Tensor => draw.values([2, 24, 30, 17], { low: -2, high: 4, dtype }).to({ memoryFormat });
        return [map(), map(), draw.values([24]), draw.values([24])];
      },
      compute: (input, gradient, weight, bias) => {
        const count = 2 * 30 * 17;
        const [statistics] = run('batch_norm_statistics', input!);
        const [sums] = run('batch_norm_gradient_sums', gradient!, input!, statistics!);
        return [
          ...run('batch_norm_apply', input!, weight!, bias!, statistics!, count, 1e-5),
          ...run('batch_norm_gradient', gradient!, input!, weight!, statistics!, sums!, count, 1e-5),
          ...[statistics!, sums!],
        ];
      },
      // Sums on a card are those of float32 values, whatever holds them.
      tolerance: dtype === 'float32' ? 1e-5 : { float64: 1e-5 },
    }),
  ),
);

export const groupNorm: KernelCase[] = LAYOUTS.flatMap((memoryFormat) =>
  (['float32', 'bfloat16'] as const).map(
    (dtype): KernelCase => ({
      name: `${dtype}, ${memoryFormat}`,
      inputs: (draw) => [
        draw.values([2, 24, 30, 17], { low: -2, high: 4, dtype }).to({ memoryFormat }),
        draw.values([24]),
        draw.values([24]),
      ],
      compute: (input, weight, bias) => run('group_norm', input!, 8, weight!, bias!, 1e-5),
      differentiate: [0, 1, 2],
      anyGradientLayout: true,
      tolerance: dtype === 'float32' ? 1e-4 : ROUNDED_PARAMETERS,
    }),
  ),
);

export const biasGradient: KernelCase[] = FLOATS.map((dtype) => ({
  name: dtype,
  inputs: (draw) => [
    draw.values([2, 24, 15, 17], { dtype }).to({ memoryFormat: 'channels_last' }),
    draw.values([24], { dtype }),
  ],
  // Of a tensor with a gradient of its own, as a convolution's output is.
  compute: (output, bias) => run('with_bias_gradient', callOp('aten::mul.Scalar', output!, 2) as Tensor, bias!),
  differentiate: [0, 1],
}));

export const scaleShift: KernelCase[] = FLOATS.flatMap((dtype) =>
  LAYOUTS.flatMap((memoryFormat) =>
    [false, true].map(
      (relu): KernelCase => ({
        name: `${dtype}, ${memoryFormat}${relu ? ', ReLU' : ''}`,
        inputs: (draw) => {
          const map = (): Tensor => draw.values([2, 24, 15, 17], { dtype }).to({ memoryFormat });
          const channels = (): Tensor => draw.values([24], { dtype: dtype === 'float64' ? dtype : 'float32' });
          return [map(), channels(), channels(), map()];
        },
        compute: (input, scale, shift, residual) => [
          ...run('scale_shift', input!, scale!, shift!, residual!, relu),
          ...run('scale_shift', input!.detach(), scale!, shift!, null, relu),
        ],
        differentiate: [0, 3],
      }),
    ),
  ),
);
