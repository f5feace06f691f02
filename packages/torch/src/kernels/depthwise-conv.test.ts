import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { assertClose, recordOperators } from '../checks/index.js';
import { Conv2d } from '../nn/index.js';
import { ops } from '../ops/index.js';
import { grad, manualSeed, randn, scope, setThreads, type Tensor } from '../tensor/index.js';
import { assertSameOnAnyThreads } from '../testing/thread-counts.js';
import { depthwiseConv } from './depthwise-conv.js';

before(() => setThreads(1));

/** Images, channels, height, width; height and width of the kernel; stride; padding. */
const SHAPES = [
  [2, 40, 9, 14, 5, 5, 1, 2],
  [1, 16, 11, 8, 5, 5, 2, 2],
  [1, 35, 6, 7, 3, 7, 2, 3],
  [2, 5, 10, 10, 7, 4, 3, 0],
  [1, 17, 3, 2, 5, 5, 1, 2],
  [1, 3, 6, 5, 1, 1, 1, 0],
] as const;

function leaf(tensor: Tensor): Tensor {
  const own = tensor.detach().clone();
  own.requiresGrad = true;
  return own;
}

describe('depthwiseConv', () => {
  for (const [images, channels, height, width, kernelHeight, kernelWidth, stride, padding] of SHAPES) {
    for (const format of ['channels_last', 'contiguous_format'] as const) {
      test(`is the convolution, with its gradients: ${images} x ${channels} x ${height} x ${width} by ${kernelHeight} x ${kernelWidth}, stride ${stride}, ${format}`, () =>
        scope(() => {
          manualSeed(1);
          const maps = randn([images, channels, height, width]).to({ memoryFormat: format });
          const [weight, bias] = [randn([channels, 1, kernelHeight, kernelWidth]), randn([channels])];
          const geometry = { stride: [stride, stride], padding: [padding, padding] } as const;
          const [ownMaps, ownWeight] = [leaf(maps), leaf(weight)];
          const output = depthwiseConv(ownMaps, ownWeight, bias, geometry);
          // In double precision the engine goes another way.
          const [exactMaps, exactWeight] = [leaf(maps.to('float64')), leaf(weight.to('float64'))];
          const wanted = ops.conv2d(exactMaps, exactWeight, {
            ...geometry,
            bias: bias.to('float64'),
            groups: channels,
          });
          assertClose(output, wanted.to('float32'), { relative: 1e-5, absolute: 1e-5 });
          const slopes = randn(output.shape);
          ops.sum(ops.mul(output, slopes)).backward();
          ops.sum(ops.mul(wanted, slopes.to('float64'))).backward();
          assertClose(ownMaps.grad!, exactMaps.grad!.to('float32'), { relative: 1e-5, absolute: 1e-5 });
          assertClose(ownWeight.grad!, exactWeight.grad!.to('float32'), { relative: 1e-5, absolute: 1e-5 });
        }));
    }
  }

  test('has derivatives of derivatives', () =>
    scope(() => {
      const [maps, weight] = [leaf(randn([1, 2, 6, 6])), leaf(randn([2, 1, 5, 5]))];
      const output = depthwiseConv(maps, weight, undefined, { stride: [1, 1], padding: [2, 2] });
      const [first] = grad([ops.sum(ops.square(output))], [weight], { createGraph: true });
      const [second] = grad([ops.sum(first!)], [maps]);
      assert.ok(second!.toNumbers().some((value) => value !== 0));
    }));

  test('gives the same numbers whatever the threads', () =>
    assertSameOnAnyThreads(() =>
      scope(() => {
        manualSeed(2);
        const [maps, weight] = [
          randn([3, 24, 20, 21]).to({ memoryFormat: 'channels_last' }),
          leaf(randn([24, 1, 5, 5])),
        ];
        ops.sum(ops.square(depthwiseConv(maps, weight, undefined, { stride: [1, 1], padding: [2, 2] }))).backward();
        return weight.grad!.toFloat32Array();
      }),
    ));

  test('refuses other kernels and types, by what came', () =>
    scope(() => {
      const geometry = { stride: [1, 1], padding: [0, 0] } as const;
      assert.throws(
        () => depthwiseConv(randn([1, 2, 9, 9]), randn([2, 2, 5, 5]), undefined, geometry),
        /\[C, 1, kh, kw\]/,
      );
      assert.throws(() => depthwiseConv(randn([1, 2, 9, 9]), randn([2, 1, 5, 8]), undefined, geometry), /kw up to 7/);
    }));
});

describe('Conv2d', () => {
  test('takes it for a wide kernel a channel that learns from pixel after pixel, and for nothing else', () =>
    scope(() => {
      const uses = (kernel: number, memoryFormat: 'channels_last' | 'contiguous_format', learns = true): boolean => {
        const conv = new Conv2d(8, 8, kernel, { groups: 8, padding: (kernel - 1) / 2, bias: false });
        conv.weight.requiresGrad = learns;
        const maps = randn([1, 8, 9, 9]).to({ memoryFormat });
        const operators = recordOperators(() => void conv.forward(maps));
        return [...operators.keys()].some((name) => name.startsWith('goshawk::depthwise_conv'));
      };
      assert.deepEqual(
        [
          uses(5, 'channels_last'),
          uses(3, 'channels_last'),
          uses(5, 'contiguous_format'),
          uses(5, 'channels_last', false),
        ],
        [true, false, false, false],
      );
    }));
});
