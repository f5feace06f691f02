// RoIAlign against its definition in plain numbers, against torchvision (fixtures/make.py) and finite differences.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../checks/assert-close.js';
import { gradientCheck } from '../checks/gradient-check.js';
import { enableGrad, grad } from '../tensor/autograd.js';
import { ones, tensor, zeros } from '../tensor/create.js';
import { callTensorOp } from '../tensor/dispatch.js';
import { scope } from '../tensor/scope.js';
import type { MemoryFormat, Tensor } from '../tensor/tensor.js';
import { assertSameOnAnyThreads } from '../testing/thread-counts.js';
import { torchvision } from '../testing/torchvision-cases.js';
import { wave } from '../testing/wave.js';
import { roiAlign, roiAlignMultilevel } from './index.js';

const formats: readonly MemoryFormat[] = ['contiguous_format', 'channels_last'];
const tight = { absolute: 1e-13, relative: 1e-12 };
/** Means of values of the size of one, in another order: some roundings of float32. */
const single = { absolute: 3e-7, relative: 3e-7 };

function formatted(input: Tensor, memoryFormat: MemoryFormat): Tensor {
  return callTensorOp('aten::contiguous', input, memoryFormat);
}

test('agrees with torchvision, output and gradient, in both memory formats', () => {
  scope(() => {
    const rois = tensor(torchvision.rois, { dtype: 'float64' });
    for (const { aligned, samplingRatio, output, gradient } of torchvision.roiAlign) {
      for (const format of formats) {
        const input = formatted(wave([2, 3, 6, 7], 0.3), format);
        input.requiresGrad = true;
        const pooled = roiAlign(input, rois, { spatialScale: 0.25, outputSize: [3, 2], samplingRatio, aligned });
        assertClose(pooled, output, tight);
        pooled.backward({ gradient: wave(pooled.shape, 0.9) });
        assertClose(input.grad ?? [], gradient, tight);
        assert.ok(pooled.isContiguous(format) && input.grad?.isContiguous(format));
      }
    }
  });
});

/** Mean of bilinear samples, written down from the paper. */
function definition(
  map: readonly (readonly number[])[],
  [x1, y1, x2, y2]: readonly [number, number, number, number],
  bins: number,
  samples: number,
): number[] {
  const height = map.length;
  const width = map[0]?.length ?? 0;
  const at = (y: number, x: number): number => {
    if (y < -1 || y > height || x < -1 || x > width) return 0;
    const [cy, cx] = [Math.min(Math.max(y, 0), height - 1), Math.min(Math.max(x, 0), width - 1)];
    let sum = 0;
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++)
        sum += Math.max(0, 1 - Math.abs(cy - row)) * Math.max(0, 1 - Math.abs(cx - column)) * (map[row]?.[column] ?? 0);
    return sum;
  };
  const result: number[] = [];
  for (let bin = 0; bin < bins * bins; bin++) {
    let sum = 0;
    for (let sample = 0; sample < samples * samples; sample++) {
      const i = Math.floor(bin / bins) + (Math.floor(sample / samples) + 0.5) / samples;
      const j = (bin % bins) + ((sample % samples) + 0.5) / samples;
      sum += at(y1 - 0.5 + (i * (y2 - y1)) / bins, x1 - 0.5 + (j * (x2 - x1)) / bins);
    }
    result.push(sum / samples ** 2);
  }
  return result;
}

test('is the mean of bilinear samples, pixel centres lying at half coordinates when aligned', () => {
  scope(() => {
    const map = [
      [1, 5, 2, 8, 3],
      [4, 0, 7, 1, 6],
      [9, 3, 5, 2, 0],
      [2, 6, 1, 4, 7],
    ];
    const boxes = [
      [0.5, 0.5, 4.2, 3.7],
      [-3, 1, 2, 9],
      [1, 1, 1.5, 1.25],
      [2, 0, 7.5, 2],
    ] as const;
    for (const box of boxes) {
      const pooled = roiAlign(tensor([[map]], { dtype: 'float64' }), tensor([[0, ...box]], { dtype: 'float64' }), {
        outputSize: 3,
        samplingRatio: 2,
        aligned: true,
      });
      assertClose(pooled, definition(map, box, 3, 2), tight);
    }
  });
});

test('gives a constant back, whatever the bins', () => {
  scope(() => {
    const rois = tensor([
      [0, 1, 1, 8, 9],
      [0, 3.3, 2.1, 4, 7],
    ]);
    for (const samplingRatio of [0, 1, 2, 5])
      assertClose(
        roiAlign(ones([1, 20, 12, 12]), rois, { outputSize: 4, samplingRatio }),
        new Array(2 * 20 * 16).fill(1),
        single,
      );
  });
});

test('reads every count of channels the same in both memory formats', () => {
  scope(() => {
    const rois = tensor([
      [0, 1, 1, 30, 25],
      [1, -4, 10, 22, 44],
    ]);
    for (const channels of [1, 2, 15, 16, 17, 48, 131, 256]) {
      const [planes, pixels] = formats.map((format) => {
        const input = formatted(wave([2, channels, 9, 11], 0.2).to('float32'), format);
        input.requiresGrad = true;
        const pooled = roiAlign(input, rois, { spatialScale: 0.25, outputSize: [2, 3], samplingRatio: 2 });
        pooled.backward({ gradient: wave(pooled.shape, 0.5).to('float32') });
        return { pooled, gradient: input.grad! };
      });
      assertClose(pixels!.pooled, planes!.pooled, single);
      assertClose(pixels!.gradient, planes!.gradient, single);
    }
  });
});

test('keeps half precision, adding up in float32', () => {
  scope(() => {
    const rois = tensor([
      [0, 0, 0, 40, 40],
      [0, 3, 5, 20, 33],
      [0, 0, 0, 40, 40],
    ]);
    for (const [dtype, step] of [
      ['bfloat16', 2 ** -8],
      ['float16', 2 ** -11],
    ] as const) {
      for (const format of formats) {
        const input = formatted(wave([1, 40, 10, 10], 0.2).to(dtype), format);
        const exact = input.to('float32');
        input.requiresGrad = true;
        exact.requiresGrad = true;
        const options = { spatialScale: 0.25, outputSize: 7, samplingRatio: 2 } as const;
        const pooled = roiAlign(input, rois, options);
        assert.equal(pooled.dtype, dtype);
        const reference = roiAlign(exact, rois, options);
        assertClose(pooled.to('float32'), reference, { absolute: 1e-6, relative: step });
        const gradient = wave(pooled.shape, 0.5).to(dtype);
        pooled.backward({ gradient });
        reference.backward({ gradient: gradient.to('float32') });
        assert.equal(input.grad?.dtype, dtype);
        assertClose(input.grad!.to('float32'), exact.grad!, { absolute: 1e-5, relative: step });
      }
    }
  });
});

test('takes uint8 masks to float32', () => {
  scope(() => {
    const mask = tensor(
      [
        [
          [
            [0, 1, 1, 0],
            [0, 1, 1, 0],
          ],
        ],
      ],
      { dtype: 'uint8' },
    );
    const rois = tensor([[0, 0, 0, 3, 1]]);
    const pooled = roiAlign(mask, rois, { outputSize: 2 });
    assert.equal(pooled.dtype, 'float32');
    assertClose(pooled, roiAlign(mask.to('float32'), rois, { outputSize: 2 }));
  });
});

test('has the gradients of finite differences, the second ones too', () => {
  scope(() => {
    const input = formatted(wave([1, 3, 5, 4], 0.1), 'channels_last');
    input.requiresGrad = true;
    const rois = tensor(
      [
        [0, 0.3, 0.7, 7.1, 8.2],
        [0, -2, 3, 5, 13],
      ],
      { dtype: 'float64' },
    );
    const options = { spatialScale: 0.5, outputSize: 2, samplingRatio: 2, aligned: true } as const;
    gradientCheck(() => roiAlign(input, rois, options), { input });
    const slope = () =>
      enableGrad(() => {
        const cubes = callTensorOp('aten::pow.Tensor_Scalar', roiAlign(input, rois, options), 3);
        return grad([callTensorOp('aten::sum', cubes)], [input], { createGraph: true })[0]!;
      });
    gradientCheck(slope, { input });
  });
});

test('gives the same bits for any number of threads', () => {
  assertSameOnAnyThreads(() => {
    const rois = tensor(
      Array.from({ length: 40 }, (_, k) => [k % 2, k % 7, (k * 3) % 11, 12 + (k % 13), 15 + (k % 9)]),
    );
    return formats.flatMap((format) => {
      const input = formatted(wave([2, 72, 8, 9], 0.2).to('float32'), format);
      input.requiresGrad = true;
      const pooled = roiAlign(input, rois, { spatialScale: 0.3, outputSize: 5, samplingRatio: 2 });
      pooled.backward({ gradient: wave(pooled.shape, 0.5).to('float32') });
      return [pooled.toBytes(), input.grad!.toBytes()];
    });
  });
});

test('reads each RoI from its level and sends its gradient there', () => {
  scope(() => {
    const boxes = [
      [0, 2, 3, 20, 18],
      [1, 0, 0, 31, 31],
      [1, 8, 4, 14, 30],
      [0, 1, 1, 6, 5],
    ];
    const levels = [1, 0, 1, 2];
    const scales = [0.5, 0.25, 0.125];
    const options = { outputSize: 3, samplingRatio: 2, aligned: false } as const;
    for (const format of formats) {
      const inputs = scales.map((scale, level) => {
        const input = formatted(wave([2, 18, 32 * scale, 32 * scale], level), format);
        input.requiresGrad = true;
        return input;
      });
      const rois = tensor(boxes, { dtype: 'float64' });
      const pooled = roiAlignMultilevel(inputs, rois, tensor(levels, { dtype: 'int64' }), {
        ...options,
        spatialScales: scales,
      });
      const apart = levels.map((level, k) =>
        roiAlign(inputs[level]!, tensor([boxes[k]!], { dtype: 'float64' }), {
          ...options,
          spatialScale: scales[level]!,
        }),
      );
      const expected = callTensorOp('aten::cat', apart, 0);
      assertClose(pooled, expected, tight);
      const weight = wave(pooled.shape, 0.4);
      const own = grad([callTensorOp('aten::sum', callTensorOp('aten::mul.Tensor', pooled, weight))], inputs);
      const separate = grad([callTensorOp('aten::sum', callTensorOp('aten::mul.Tensor', expected, weight))], inputs);
      for (const [i, gradient] of own.entries()) assertClose(gradient!, separate[i]!, tight);
    }
  });
});

test('answers no RoIs with an empty tensor that still has a gradient', () => {
  scope(() => {
    const input = ones([1, 4, 5, 5]);
    input.requiresGrad = true;
    const pooled = roiAlign(input, zeros([0, 5]), { outputSize: 7 });
    assert.deepEqual(pooled.shape, [0, 4, 7, 7]);
    callTensorOp('aten::sum', pooled).backward();
    assertClose(input.grad!, new Array(100).fill(0));
  });
});

test('gives zeros for RoIs that are not finite and ends at once for enormous ones', () => {
  scope(() => {
    const rois = tensor([
      [0, Number.NaN, 0, 4, 4],
      [0, 0, 0, Number.POSITIVE_INFINITY, 4],
      [0, 1e30, 1e30, 3e30, 3e30],
    ]);
    for (const aligned of [false, true])
      assertClose(roiAlign(ones([1, 2, 6, 6]), rois, { outputSize: 2, aligned }), new Array(3 * 2 * 4).fill(0));
    const all = roiAlign(ones([1, 1, 6, 6]), tensor([[0, -1e9, -1e9, 1e9, 1e9]]), { outputSize: 1 }).item();
    assert.ok(all >= 0 && all < 1e-6);
  });
});

test('names what does not fit', () => {
  scope(() => {
    const input = ones([2, 3, 4, 4]);
    const options = { outputSize: 7 } as const;
    const rois = tensor([[0, 0, 0, 3, 3]]);
    const levels = zeros([1], { dtype: 'int64' });
    assert.throws(() => roiAlign(input, ones([3, 4]), options), /rois must be \[K, 5\], got \[3, 4\]/);
    assert.throws(
      () => roiAlign(input, tensor([[2, 0, 0, 1, 1]]), options),
      /batch index 2, but the input has 2 images/,
    );
    assert.throws(() => roiAlign(input, tensor([[Number.NaN, 0, 0, 1, 1]]), options), /batch index nan/);
    assert.throws(() => roiAlign(ones([3, 4, 4]), rois, options), /input must be \[N, C, H, W\], got \[3, 4, 4\]/);
    assert.throws(() => roiAlign(input, rois, { outputSize: 0 }), /output size must be positive, got 0 x 0/);
    assert.throws(() => roiAlign(input.to('int32'), rois, options), /input must be float32/);
    assert.throws(
      () => roiAlignMultilevel([input, input], rois, levels, { ...options, spatialScales: [1] }),
      /2 feature maps but 1 spatial scales/,
    );
    assert.throws(
      () => roiAlignMultilevel([input], rois, ones([1], { dtype: 'int64' }), { ...options, spatialScales: [1] }),
      /levels\[0\] is 1, but there are 1 feature maps/,
    );
    assert.throws(
      () => roiAlignMultilevel([], rois, levels, { ...options, spatialScales: [] }),
      /no feature maps given/,
    );
  });
});
