// The gradients of convolutions' biases; what convolutions compute is in gradients.test.ts and torch-layers.test.ts.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { autocast } from '../amp/autocast.js';
import { assertClose } from '../checks/index.js';
import { ops } from '../ops/index.js';
import {
  callTensorOp,
  grad,
  interceptOperators,
  manualSeed,
  noGrad,
  randn,
  scope,
  setThreads,
  type Tensor,
} from '../tensor/index.js';
import { Conv2d, ConvTranspose2d } from './index.js';

after(() => setThreads(1));

const layers = [
  ['Conv2d', () => new Conv2d(8, 24, 1), [2, 24, 120, 121]],
  ['Conv2d with a stride', () => new Conv2d(8, 24, 3, { stride: 2, padding: 1 }), [2, 24, 60, 61]],
  ['ConvTranspose2d', () => new ConvTranspose2d(8, 24, 2, { stride: 2 }), [2, 24, 240, 242]],
] as const satisfies readonly (readonly [string, () => Conv2d | ConvTranspose2d, readonly number[]])[];

describe("a convolution's bias", () => {
  for (const [name, make, outputShape] of layers) {
    test(`of ${name} has the sum of the gradient to the last digit of a float, on any number of threads`, () =>
      scope(() => {
        manualSeed(1);
        const layer = make();
        const bias = layer.bias!;
        for (const memoryFormat of ['channels_last', 'contiguous_format'] as const) {
          const input = randn([2, 8, 120, 121]).to({ memoryFormat });
          const gradient = ops.add(randn(outputShape), 0.01).to({ memoryFormat });
          const exact = ops.sum(gradient.to('float64'), [0, 2, 3]);
          const sizes = ops.sum(gradient.abs().to('float64'), [0, 2, 3]).max().item() as number;
          for (const threads of [1, 2]) {
            setThreads(threads);
            const [found] = grad([layer.call(input)], [bias], { gradients: [gradient] });
            assertClose(found!, exact.to('float32'), { relative: 1.2e-7, absolute: 1e-12 * sizes });
          }
        }
      }));
  }

  test('has it in float32 also where autocasting makes the output bfloat16', () =>
    scope(() => {
      const layer = new Conv2d(8, 24, 1);
      const output = autocast('bfloat16', () =>
        layer.call(randn([2, 8, 60, 61]).to({ memoryFormat: 'channels_last' })),
      );
      assert.equal(output.dtype, 'bfloat16');
      const gradient = randn([2, 24, 60, 61]).to('bfloat16');
      const [found] = grad([output], [layer.bias!], { gradients: [gradient] });
      const exact = ops.sum(gradient.to('float64'), [0, 2, 3]);
      assert.equal(found!.dtype, 'float32');
      assertClose(found!, exact.to('float32'), { relative: 1e-6, absolute: 1e-6 });
    }));

  test('has derivatives of derivatives', () =>
    scope(() => {
      const layer = new Conv2d(2, 3, 1).to({ dtype: 'float64' });
      const input = randn([1, 2, 4, 4]).to('float64');
      const [first] = grad([ops.sum(ops.pow(layer.call(input), 3))], [layer.bias!], { createGraph: true });
      const [second] = grad([ops.sum(first!)], [layer.bias!]);
      const output: Tensor = noGrad(() => layer.call(input));
      assertClose(second!, ops.sum(ops.mul(output, 6), [0, 2, 3]), { relative: 1e-10 });
    }));

  test('lets an activation overwrite the output', () =>
    scope(() => {
      const layer = new Conv2d(4, 8, 1);
      const input = randn([1, 4, 9, 9]);
      const gradientBy = (activation: (output: Tensor) => Tensor): Tensor =>
        grad([ops.sum(activation(layer.call(input)))], [layer.bias!])[0]!;
      assertClose(
        gradientBy((output) => ops.relu_(output)),
        gradientBy((output) => ops.relu(output)),
        { relative: 0 },
      );
    }));
});

describe('a convolution of maps that are not on the CPU', () => {
  // The engine's device without memory stands for a card; what would run there is answered here.
  const operatorsOf = (layer: Conv2d | ConvTranspose2d, device: 'cpu' | 'meta'): string[] =>
    scope(() => {
      const shape = [1, 32, 64, 64];
      const input = callTensorOp(
        'aten::empty.memory_format',
        shape,
        'float32',
        undefined,
        device,
        false,
        'channels_last',
      );
      const names: string[] = [];
      interceptOperators(
        (name, args, proceed) => {
          names.push(name.replace('aten::', ''));
          return /conv/.test(name) && device === 'meta' ? input : proceed(args);
        },
        () => layer.call(input),
      );
      return names;
    });

  test("is the engine's own, bias and all, and never one by fewer products", () => {
    const plain = new Conv2d(32, 32, 3, { padding: 1 });
    const strided = new Conv2d(32, 32, 3, { stride: 2 });
    const transposed = new ConvTranspose2d(32, 32, 2, { stride: 2 });
    assert.deepEqual(operatorsOf(plain, 'meta'), ['conv2d']);
    assert.deepEqual(operatorsOf(strided, 'meta'), ['conv2d']);
    assert.deepEqual(operatorsOf(transposed, 'meta'), ['conv_transpose2d.input']);
    assert.deepEqual(operatorsOf(plain, 'cpu'), ['goshawk::winograd_conv3x3']);
    assert.deepEqual(operatorsOf(strided, 'cpu'), ['detach', 'conv2d', 'goshawk::with_bias_gradient']);
  });
});
