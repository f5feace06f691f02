// What only a training computes: the focal loss, scaled gradients, the optimizers' steps.
import { Adam, AdamW, callOp, Parameter, SGD, type Tensor, tensor, zeros } from '@goshawk/torch';
import { type KernelCase, run } from './kernel-case.js';

export const focalLoss: KernelCase[] = [
  ...(['float32', 'bfloat16', 'float64'] as const).flatMap((dtype): KernelCase[] => [
    {
      name: `rows, ${dtype}`,
      inputs: (draw) => [
        draw.values([2, 700, 11], { low: -8, high: 8, dtype }),
        draw.integers([2, 700], 13, -2),
        draw.values([2], { low: 0.1 }),
      ],
      compute: (logits, targets, weights) => run('sigmoid_focal_loss', logits!, targets!, weights!, 0.25, 2),
      differentiate: [0],
    },
    {
      name: `a map, ${dtype}`,
      inputs: (draw) => [
        draw.values([2, 9 * 5, 12, 10], { low: -8, high: 8, dtype }).to({ memoryFormat: 'channels_last' }),
        draw.integers([2, 12 * 10 * 9], 7, -2),
        draw.values([2], { low: 0.1 }),
      ],
      compute: (logits, targets, weights) => run('sigmoid_focal_loss', logits!, targets!, weights!, 0.4, 1.5),
      differentiate: [0],
    },
  ]),
  {
    name: 'logits far out',
    inputs: () => [
      tensor([-1000, 1000, -100, 100, 0, 30], { shape: [1, 2, 3] }),
      tensor([0, 1], { dtype: 'int64', shape: [1, 2] }),
      tensor([1]),
    ],
    compute: (logits, targets, weights) => run('sigmoid_focal_loss', logits!, targets!, weights!, 0.25, 2),
    differentiate: [0],
  },
];

export const gradientScale: KernelCase[] = [1, Number.POSITIVE_INFINITY, Number.NaN].map((value) => ({
  name: `a gradient of ${value}`,
  inputs: (draw) => [draw.values([4097]), tensor([1, 2, value]), zeros([1]), tensor([1 / 1024])],
  compute: (first, second, found, inverse) => {
    const own = [first!.clone(), second!.clone()];
    const overflow = found!.clone();
    callOp('goshawk::unscale_', own, overflow, inverse!);
    return [...own, overflow];
  },
}));

type AnyOptimizer = { step(): void; zeroGrad(): void };
const OPTIMIZERS: Readonly<Record<string, (parameters: Parameter[]) => AnyOptimizer>> = {
  SGD: (parameters) => new SGD(parameters, { lr: 0.1, momentum: 0.9, weightDecay: 1e-3 }),
  'SGD, Nesterov': (parameters) => new SGD(parameters, { lr: 0.1, momentum: 0.9, nesterov: true }),
  Adam: (parameters) => new Adam(parameters, { lr: 0.01, weightDecay: 1e-3 }),
  AdamW: (parameters) => new AdamW(parameters, { lr: 0.01, weightDecay: 1e-2 }),
};

export const optimizerSteps: KernelCase[] = Object.entries(OPTIMIZERS).map(([name, make]) => ({
  name: `three steps of ${name}`,
  inputs: (draw) => [
    draw.values([33]),
    draw.values([16, 8, 3, 3]).to({ memoryFormat: 'channels_last' }),
    draw.values([7, 5]),
  ],
  compute: (...values) => {
    const parameters = values.map((value) => new Parameter(value.clone()));
    const optimizer = make(parameters);
    for (let step = 1; step <= 3; step++) {
      optimizer.zeroGrad();
      for (const parameter of parameters) {
        const halves = callOp('aten::mul.Scalar', callOp('aten::mul.Tensor', parameter, parameter) as Tensor, step / 2);
        (halves as Tensor).sum().backward();
      }
      optimizer.step();
    }
    return parameters.map((parameter) => parameter.detach().clone());
  },
  tolerance: 1e-5,
}));
