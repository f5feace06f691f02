// Each layer's gradients against finite differences, in float64.
import { test } from 'node:test';
import { gradientCheck } from '../checks/gradient-check.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { wave } from '../testing/wave.js';
import {
  AdaptiveAvgPool2d,
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  ConvTranspose2d,
  FrozenBatchNorm2d,
  GELU,
  GroupNorm,
  type Layer,
  LayerNorm,
  Linear,
  MaxPool2d,
  MultiheadAttention,
  ReLU,
  Sequential,
  Sigmoid,
  SiLU,
} from './index.js';

const layers: readonly [name: string, layer: () => Layer, input: readonly number[]][] = [
  ['Conv2d', () => new Conv2d(2, 4, 3, { stride: 2, padding: 1, groups: 2 }), [2, 2, 4, 5]],
  ['ConvTranspose2d', () => new ConvTranspose2d(2, 3, 2, { stride: 2 }), [1, 2, 3, 2]],
  ['Linear', () => new Linear(3, 4), [2, 3]],
  ['BatchNorm2d in training', () => new BatchNorm2d(2), [2, 2, 3, 2]],
  ['BatchNorm2d in eval mode', () => new BatchNorm2d(2).eval(), [2, 2, 3, 2]],
  ['FrozenBatchNorm2d', () => new FrozenBatchNorm2d(2), [2, 2, 3, 2]],
  ['GroupNorm', () => new GroupNorm(2, 4), [2, 4, 2, 3]],
  ['LayerNorm', () => new LayerNorm(4), [3, 4]],
  ['MaxPool2d', () => new MaxPool2d(2), [1, 2, 4, 4]],
  ['AvgPool2d', () => new AvgPool2d(3, { stride: 1, padding: 1 }), [1, 2, 4, 4]],
  ['AdaptiveAvgPool2d', () => new AdaptiveAvgPool2d(2), [1, 2, 5, 3]],
  ['ReLU', () => new ReLU(), [3, 4]],
  ['Sigmoid', () => new Sigmoid(), [3, 4]],
  ['SiLU', () => new SiLU(), [3, 4]],
  ['GELU', () => new GELU(), [3, 4]],
  [
    'Sequential with an activation in place',
    () => new Sequential(new Conv2d(2, 3, 1), new GroupNorm(1, 3), new ReLU({ inPlace: true })),
    [1, 2, 3, 3],
  ],
];
for (const [name, make, shape] of layers) {
  test(`${name} has the gradients of its output`, () => {
    scope(() => {
      const layer = make().to({ dtype: 'float64' });
      const input = requiringGrad(wave(shape, 0.3));
      gradientCheck(() => layer.call(input), { input, ...Object.fromEntries(layer.namedParameters()) });
    });
  });
}

test('MultiheadAttention has the gradients of its output, for one input and for three', () => {
  scope(() => {
    const attention = new MultiheadAttention(4, 2, { batchFirst: true }).to({ dtype: 'float64' });
    const parameters = Object.fromEntries(attention.namedParameters());
    const query = requiringGrad(wave([2, 3, 4], 0.1));
    const key = requiringGrad(wave([2, 2, 4], 0.2));
    const value = requiringGrad(wave([2, 2, 4], 0.3));
    gradientCheck(() => attention.call(query, query, query), { query, ...parameters });
    gradientCheck(() => attention.call(query, key, value), { query, key, value, ...parameters });
  });
});

function requiringGrad(tensor: Tensor): Tensor {
  tensor.requiresGrad = true;
  return tensor;
}
