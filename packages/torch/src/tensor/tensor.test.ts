import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type DType,
  dtypes,
  empty,
  index,
  indexPut,
  itemSize,
  ones,
  scope,
  Tensor,
  type TypedArray,
  tensor,
  zeros,
} from './index.js';

test('every dtype gives back the values it was made from', () => {
  scope(() => {
    for (const dtype of dtypes) {
      const values = dtype === 'bool' ? [1, 0, 1] : dtype === 'uint8' ? [0, 127, 255] : [0, -2, 100];
      const made = tensor(values, { dtype });
      assert.equal(made.dtype, dtype);
      assert.deepEqual(made.toNumbers(), values, dtype);
      assert.equal(made.toBytes().length, 3 * itemSize(dtype));
    }
  });
});

test('every dtype gives back its extreme values bit for bit', () => {
  const extremes: readonly [DType, TypedArray][] = [
    ['float32', Float32Array.of(1.1754943508222875e-38, 1e-45, Number.POSITIVE_INFINITY, Number.NaN, -0)],
    ['float64', Float64Array.of(Number.MIN_VALUE, Number.MAX_VALUE, Number.NaN, -0)],
    ['int64', BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)],
    ['int32', Int32Array.of(-(2 ** 31), 2 ** 31 - 1)],
    ['int16', Int16Array.of(-32768, 32767)],
    ['int8', Int8Array.of(-128, 127)],
    ['uint8', Uint8Array.of(0, 255)],
  ];
  scope(() => {
    for (const [dtype, values] of extremes) {
      const made = tensor(values);
      assert.equal(made.dtype, dtype);
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      assert.deepEqual(made.toBytes(), bytes, dtype);
      assert.deepEqual(made.toTypedArray(), values, dtype);
    }
  });
});

test('half types are taken bit for bit from a Uint16Array', () => {
  scope(() => {
    // IEEE 754: 1.0 is 0x3c00 in binary16; bfloat16 is the upper half of binary32, 1.0 = 0x3f80.
    assert.deepEqual(tensor(Uint16Array.of(0x3c00, 0xc000), { dtype: 'float16' }).toNumbers(), [1, -2]);
    assert.deepEqual(tensor(Uint16Array.of(0x3f80, 0xc000), { dtype: 'bfloat16' }).toNumbers(), [1, -2]);
  });
});

test('nested arrays give the shape, and rows of different lengths are an error', () => {
  scope(() => {
    assert.deepEqual(tensor([[[1, 2]], [[3, 4]]]).shape, [2, 1, 2]);
    assert.deepEqual(tensor(7).shape, []);
    assert.deepEqual(tensor([]).shape, [0]);
  });
  assert.throws(() => tensor([[1, 2], [3]]), /rows of different shapes/);
});

test('to() converts dtypes as C does and returns an equal tensor for its own dtype', () => {
  scope(() => {
    const x = tensor([1.7, -1.7, 0]);
    assert.deepEqual(x.to('int32').toNumbers(), [1, -1, 0]);
    assert.deepEqual(x.to('bool').toNumbers(), [1, 1, 0]);
    assert.ok(x.to('float32').is(x));
  });
});

test('channels_last keeps the values and the shape and changes the strides', () => {
  scope(() => {
    const x = tensor(
      Float32Array.from({ length: 2 * 3 * 4 * 5 }, (_, i) => i),
      { shape: [2, 3, 4, 5] },
    );
    assert.deepEqual(x.strides, [60, 20, 5, 1]);
    const last = x.to({ memoryFormat: 'channels_last' });
    assert.deepEqual(last.shape, x.shape);
    assert.deepEqual(last.strides, [60, 1, 15, 3]);
    assert.ok(last.isContiguous('channels_last') && !last.isContiguous());
    assert.deepEqual(last.toNumbers(), x.toNumbers());
    assert.deepEqual(empty([2, 3, 4, 5], { memoryFormat: 'channels_last' }).strides, [60, 1, 15, 3]);
  });
});

test('a tensor prints its shape, dtype and device, and short ones their values', () => {
  scope(() => {
    assert.equal(String(ones([2, 3])), 'Tensor[2, 3] float32 cpu');
    const inspect = tensor([1, 2])[Symbol.for('nodejs.util.inspect.custom') as never] as () => string;
    assert.equal(inspect.call(tensor([1, 2])), 'Tensor[2] float32 cpu 1, 2');
  });
});

test('item() of more than one element and size() outside are errors', () => {
  scope(() => {
    assert.equal(tensor(2.5).item(), 2.5);
    assert.throws(() => ones([2]).item(), Error);
    assert.equal(ones([2, 5]).size(-1), 5);
    assert.throws(() => ones([2, 5]).size(2), /dimension 2 of a tensor of shape \[2, 5\]/);
  });
});

test('reading through a view gives its own elements in C order', () => {
  scope(() => {
    const x = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    assert.deepEqual(x.t().toNumbers(), [1, 4, 2, 5, 3, 6]);
    assert.deepEqual(x.narrow(1, 1, 2).toNumbers(), [2, 3, 5, 6]);
  });
});

test('index() takes numbers, ranges, lists and masks together', () => {
  scope(() => {
    const x = tensor(
      Float32Array.from({ length: 24 }, (_, i) => i),
      { shape: [2, 3, 4] },
    );
    assert.deepEqual(index(x, [1]).toNumbers(), [12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]);
    assert.deepEqual(index(x, [1, -1, 0]).item(), 20);
    assert.deepEqual(index(x, [null, 0, { start: 1, end: 4, step: 2 }]).toNumbers(), [1, 3, 13, 15]);
    const picked = tensor([2, 0], { dtype: 'int64' });
    assert.deepEqual(index(x, [0, picked]).toNumbers(), [8, 9, 10, 11, 0, 1, 2, 3]);
    assert.deepEqual(index(x, [null, picked, 3]).toNumbers(), [11, 3, 23, 15]);
    assert.deepEqual(index(x, [x.gt(20)]).toNumbers(), [21, 22, 23]);
    assert.throws(() => index(x, [2]), /index 2 out of range|out of bounds/);
  });
});

test('indexPut() writes where index() reads', () => {
  scope(() => {
    const x = zeros([2, 3]);
    indexPut(x, [0, { start: 1 }], 5);
    indexPut(x, [1], tensor([1, 2, 3]));
    assert.deepEqual(x.toNumbers(), [0, 5, 5, 1, 2, 3]);
    indexPut(x, [x.eq(5)], -1);
    assert.deepEqual(x.toNumbers(), [0, -1, -1, 1, 2, 3]);
    const twice = tensor([0, 0], { dtype: 'int64' });
    indexPut(x, [null, twice], 1, { accumulate: true });
    assert.deepEqual(x.toNumbers(), [2, -1, -1, 3, 2, 3]);
    indexPut(x, [1], 1, { accumulate: true });
    assert.deepEqual(x.toNumbers(), [2, -1, -1, 4, 3, 4]);
  });
});

test('two handles of one tensor are told apart from two tensors', () => {
  scope(() => {
    const x = ones([2]);
    assert.ok(x.add_(1).is(x));
    assert.ok(!x.clone().is(x));
    assert.ok(x instanceof Tensor);
  });
});
