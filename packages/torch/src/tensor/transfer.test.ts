import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  arange,
  type HostArray,
  liveTensors,
  scope,
  tensor,
  toDeviceTogether,
  toHostTogether,
  zeros,
} from './index.js';

describe('toDeviceTogether', () => {
  const arrays: readonly HostArray[] = [
    { array: Uint8Array.of(1, 2, 3), shape: [3] },
    { array: Float32Array.of(0.5, -1, 2, 3), shape: [2, 2] },
    { array: BigInt64Array.of(7n, -8n), shape: [2, 1] },
    { array: new Float32Array(0), shape: [0, 4] },
    // Large enough to be copied on its own, and laid out pixel by pixel.
    {
      array: Float32Array.from({ length: 2 * 100 * 100 }, (_, i) => i),
      shape: [1, 2, 100, 100],
      strides: [20000, 1, 200, 2],
    },
  ];

  test('gives each array as a tensor of its type, shape and strides', () => {
    scope(() => {
      const made = toDeviceTogether(arrays, 'cpu');
      assert.deepEqual(
        made.map(({ dtype, shape }) => [dtype, shape]),
        [
          ['uint8', [3]],
          ['float32', [2, 2]],
          ['int64', [2, 1]],
          ['float32', [0, 4]],
          ['float32', [1, 2, 100, 100]],
        ],
      );
      assert.deepEqual(
        made.slice(0, 4).map((value) => value.toNumbers()),
        [[1, 2, 3], [0.5, -1, 2, 3], [7, -8], []],
      );
      assert.ok(made[4]!.isContiguous('channels_last'));
      assert.deepEqual(made[4]!.toNumbers().slice(0, 3), [0, 2, 4]);
      assert.deepEqual(made[4]!.toNumbers().slice(10000, 10003), [1, 3, 5]);
    });
  });

  test('takes the values at once: what is written into an array later does not show', () => {
    scope(() => {
      const array = Float32Array.of(1, 2);
      const large = new Float32Array(100_000).fill(3);
      const [small, other] = toDeviceTogether(
        [
          { array, shape: [2] },
          { array: large, shape: [100_000] },
        ],
        'cpu',
      );
      array.fill(9);
      large.fill(9);
      assert.deepEqual(small!.toNumbers(), [1, 2]);
      assert.equal(
        other!.toFloat32Array().find((value) => value !== 3),
        undefined,
      );
    });
  });

  test('keeps nothing but the views, and takes no arrays and empty ones', () => {
    const alive = liveTensors();
    scope(() => {
      const made = toDeviceTogether(arrays, 'cpu');
      assert.equal(liveTensors() - alive, made.length);
      assert.deepEqual(toDeviceTogether([], 'cpu'), []);
      assert.deepEqual(toDeviceTogether([{ array: new Uint8Array(0), shape: [0] }], 'cpu')[0]!.shape, [0]);
    });
    assert.equal(liveTensors(), alive);
  });
});

describe('toHostTogether', () => {
  test('gives the elements of all, whatever their types, layouts and order', () => {
    scope(() => {
      const sources = [
        tensor([true, false, true].map(Number), { dtype: 'bool' }),
        tensor([
          [1, 2],
          [3, 4],
        ]).t(),
        tensor(BigInt64Array.of(5n, -6n)),
        zeros([0, 4]),
        tensor([0.5, 1.5, 2.5], { dtype: 'bfloat16' }),
        arange(0, 6).reshape([1, 2, 1, 3]),
        tensor(8),
      ];
      const read = toHostTogether(sources, { gathered: true });
      read.forEach((value, index) => {
        const source = sources[index]!;
        assert.deepEqual([value.dtype, value.shape], [source.dtype, source.shape]);
        assert.deepEqual(value.toNumbers(), source.toNumbers());
      });
    });
  });

  test('leaves tensors of the CPU where they are, and gathered ones hang on no graph', () => {
    scope(() => {
      const learned = tensor([1, 2]);
      learned.requiresGrad = true;
      const product = learned.mul(2);
      assert.ok(toHostTogether([product])[0]!.is(product));
      const [read] = toHostTogether([product], { gathered: true });
      assert.equal(read!.requiresGrad, false);
      assert.deepEqual(read!.toNumbers(), [2, 4]);
      assert.deepEqual(toHostTogether([], { gathered: true }), []);
    });
  });
});
