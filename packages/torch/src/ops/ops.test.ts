import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callOp, ones, scope, Tensor, tensor } from '../tensor/index.js';
import { TENSOR_MEMBERS } from './exclusions.js';
import { METHOD_NAMES, OP_NAMES, ops } from './index.js';

/** A call that the compiler would refuse. */
function untyped(name: string, ...args: unknown[]): unknown {
  return Reflect.apply(Reflect.get(ops, name) as (...args: unknown[]) => unknown, undefined, args);
}

function message(call: () => unknown): string {
  try {
    scope(() => {
      call();
    });
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.ok(!error.message.includes('\n'), error.message);
    return error.message;
  }
  assert.fail('no error');
}

test('a number takes the scalar overload, a tensor the tensor one, options reach either', () => {
  scope(() => {
    const x = tensor([1, 2]);
    assert.deepEqual(x.add(10).toNumbers(), [11, 12]);
    assert.deepEqual(x.add(tensor([10, 20]), { alpha: 2 }).toNumbers(), [21, 42]);
    assert.deepEqual(ops.pow(2, x).toNumbers(), [2, 4]);
    assert.deepEqual(ops.pow(x, 2).toNumbers(), [1, 4]);
    assert.deepEqual(ops.pow(x, x).toNumbers(), [1, 4]);
    assert.deepEqual(ops.where(x.gt(1), x, 0).toNumbers(), [0, 2]);
    assert.deepEqual(x.clamp({ min: 1.5 }).toNumbers(), [1.5, 2]);
    assert.deepEqual(x.clamp({ max: tensor([0, 5]) }).toNumbers(), [0, 2]);
  });
});

test('the same name with more arguments is another overload', () => {
  scope(() => {
    const x = tensor([
      [1, 5],
      [7, 3],
    ]);
    assert.equal(x.max().item(), 7);
    const [values, indices] = x.max(1);
    assert.deepEqual(
      [values.toNumbers(), indices.toNumbers()],
      [
        [5, 7],
        [1, 0],
      ],
    );
    assert.deepEqual(x.max(tensor(4)).toNumbers(), [4, 5, 7, 4]);
    assert.equal(x.sum().item(), 16);
    assert.deepEqual(x.sum(0).toNumbers(), [8, 8]);
    assert.deepEqual(x.sum([0, 1], { keepdim: true }).shape, [1, 1]);
    assert.equal(x.sum(null, { dtype: 'float64' }).dtype, 'float64');
    assert.deepEqual(ops.arange(2, 8, { step: 3 }).toNumbers(), [2, 5]);
    assert.deepEqual(
      x.split(1).map((part) => part.shape),
      [
        [1, 2],
        [1, 2],
      ],
    );
    assert.deepEqual(
      x.split([2, 0], { dim: 1 }).map((part) => part.shape),
      [
        [2, 2],
        [2, 0],
      ],
    );
  });
});

test('an option without a default picks its overload', () => {
  scope(() => {
    const x = tensor([7, -7]);
    assert.deepEqual(x.div(2).toNumbers(), [3.5, -3.5]);
    assert.deepEqual(x.div(2, { rounding_mode: 'floor' }).toNumbers(), [3, -4]);
    assert.deepEqual(x.div(2, { rounding_mode: 'trunc' }).toNumbers(), [3, -3]);
    assert.equal(x.var(0, { correction: 0 }).item(), 49);
    assert.equal(x.var(0).item(), 98);
  });
});

test("conv2d takes paddings by number, by pair, and 'same'", () => {
  scope(() => {
    const x = ones([1, 1, 5, 7]);
    const w = ones([1, 1, 3, 3]);
    assert.deepEqual(ops.conv2d(x, w).shape, [1, 1, 3, 5]);
    assert.deepEqual(ops.conv2d(x, w, { padding: 1, stride: 2 }).shape, [1, 1, 3, 4]);
    assert.deepEqual(ops.conv2d(x, w, { padding: [0, 1] }).shape, [1, 1, 3, 7]);
    assert.deepEqual(ops.conv2d(x, w, { padding: 'same', bias: null }).shape, [1, 1, 5, 7]);
    assert.deepEqual(ops.conv2d(x, w, { bias: tensor([1]), groups: 1, padding: undefined }).toNumbers()[0], 10);
  });
});

test('dtypes, memory formats and lists with gaps arrive', () => {
  scope(() => {
    const x = ones([1, 2, 3, 4]);
    assert.equal(x.softmax(1, { dtype: 'float64' }).dtype, 'float64');
    assert.ok(x.contiguous({ memory_format: 'channels_last' }).isContiguous('channels_last'));
    assert.deepEqual(x.index([null, tensor([1], { dtype: 'int64' })]).shape, [1, 1, 3, 4]);
    assert.deepEqual(ops.zeros([2], { dtype: 'int64', device: 'cpu' }).dtype, 'int64');
    assert.deepEqual(ops.cat([x, x], { dim: 2 }).shape, [1, 2, 6, 4]);
    assert.equal(x.equal(x), true);
  });
});

test('a wrong option names those that there are', () => {
  const x = ones([1, 1, 3, 3]);
  assert.equal(
    message(() => untyped('conv2d', x, x, { strid: 2 })),
    "conv2d: unknown option 'strid': has bias, stride, padding, dilation, groups",
  );
  assert.equal(
    message(() => untyped('relu', x, { inplace: true })),
    "relu: unknown option 'inplace': has none",
  );
});

test('a wrong argument says what was expected and what was given', () => {
  const x = ones([2, 3]);
  const call = (name: string, ...args: unknown[]) => message(() => untyped(name, ...args));
  assert.equal(
    call('softmax', x, 'last'),
    "softmax: 'dim' must be int, got 'last': softmax(self: Tensor, dim: int, { dtype })",
  );
  assert.match(call('softmax', x), /^softmax: 'dim' is missing: /);
  assert.match(call('softmax', x, 0.5), /'dim' must be int, got 0.5/);
  assert.match(call('softmax', x, Number.NaN), /'dim' must be int, got NaN/);
  assert.match(call('relu', 3), /'self' must be Tensor, got 3/);
  assert.match(call('relu'), /'self' is missing/);
  assert.match(call('relu', x, 1), /takes at most 1 arguments in order, got 2/);
  assert.match(call('softmax', x, 1, { dim: 1 }), /'dim' is given twice/);
  assert.match(call('softmax', x, 1, { dtype: 'float' }), /'dtype' must be ScalarType, got 'float'/);
  assert.match(
    call('add', x, 'one'),
    /^add\(Tensor\[2, 3\] float32, 'one'\): no such overload: has add\(self: Tensor, /,
  );
  assert.match(call('cat', [x, 1]), /'tensors' must be Tensor\[\]|no such overload/);
  assert.match(call('permute', x, ['a']), /'dims' must be int\[\], got \['a'\]/);
});

test("the engine's own errors are one line with the operator and the shapes", () => {
  const text = message(() => ones([2, 3]).matmul(ones([4, 5])));
  assert.match(text, /^matmul\(Tensor\[2, 3\] float32, Tensor\[4, 5\] float32\): .*\(2x3 and 4x5\)$/);
  assert.match(
    message(() => ones([2]).view([3])),
    /^view\(Tensor\[2\] float32, \[3\]\): /,
  );
  assert.match(
    message(() => callOp('aten::no_such_thing')),
    /aten::no_such_thing: libtorch .* has no such operator/,
  );
});

test('no operator hides what Tensor defines by hand', () => {
  for (const name of TENSOR_MEMBERS) assert.ok(!(METHOD_NAMES as readonly string[]).includes(name), name);
  scope(() => {
    const x = ones([2, 3]);
    assert.equal(x.size(1), 3);
    assert.equal(typeof x.to('int32'), 'object');
    for (const name of METHOD_NAMES) assert.equal(typeof Reflect.get(Tensor.prototype, name), 'function', name);
  });
});

test('every typed operator is one that the engine has', () => {
  for (const name of OP_NAMES) {
    // No operator takes a Symbol: what answers is the overloads' own text, and not the engine's "no such operator".
    assert.throws(() => untyped(name, Symbol('no argument'), 1, 2, 3, 4, 5, 6, 7, 8), { name: 'TypeError' }, name);
  }
});
