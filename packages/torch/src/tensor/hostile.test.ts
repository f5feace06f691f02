// Wrong values at the boundary give Errors of one line; the process goes on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  callOp,
  empty,
  liveTensors,
  type OpArgument,
  ones,
  operatorNames,
  scope,
  Tensor,
  tensor,
  zeros,
} from './index.js';
import { native } from './native.js';

/** mulberry32, by Tommy Ettinger: a small generator whose sequence a seed repeats. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function assertOneLine(call: () => unknown, pattern = /./): void {
  try {
    scope(() => {
      call();
    });
  } catch (error) {
    assert.ok(error instanceof Error, String(error));
    assert.match(error.message, /^[^\n]+$/);
    assert.match(error.message, pattern);
    return;
  }
  assert.fail('no error');
}

test('shapes that are negative, huge, or no whole numbers are refused', () => {
  assertOneLine(() => zeros([-1]), /negative/);
  assertOneLine(() => zeros([2 ** 40, 2 ** 40]));
  assertOneLine(() => empty([2 ** 52]));
  assertOneLine(() => zeros([Number.NaN]), /whole number/);
  assertOneLine(() => zeros([1.5]), /whole number/);
  assertOneLine(() => zeros([Number.POSITIVE_INFINITY]), /whole number/);
  assertOneLine(() => tensor(Float32Array.of(1, 2), { shape: [3] }), /needs 12 bytes, got 8/);
  assertOneLine(() => tensor(Float32Array.of(1, 2), { shape: [-1, -2] }), /negative/);
});

test('arguments of wrong types are refused by name and shape', () => {
  const x = ones([2, 2]);
  const call = (name: string, ...args: unknown[]) => callOp(name, ...(args as OpArgument[]));
  assertOneLine(() => call('aten::relu', 'text'), /^relu\('text'\): expected a Tensor/);
  assertOneLine(() => call('aten::relu'), /'self' is missing/);
  assertOneLine(() => call('aten::relu', x, x), /at most 1 argument/);
  assertOneLine(() => call('aten::sum.dim_IntList', x, ['a']), /names no dtype/);
  assertOneLine(() => call('aten::sum.dim_IntList', x, [Number.NaN]), /whole number/);
  assertOneLine(() => call('aten::cat', x), /must be a list of Tensors, got a Tensor/);
  assertOneLine(() => call('aten::cat', [x, null]), /got a list with null|expected a Tensor/);
  assertOneLine(() => call('aten::zeros', [2], 'float99'), /'float99' names no dtype/);
  assertOneLine(() => call('aten::zeros', [2], 'float32', undefined, 'nowhere:0'));
  assertOneLine(() => call('aten::softmax.int', x, 2 ** 63));
  assertOneLine(() => call('aten::softmax.int', x, 2n ** 64n), /does not fit 64 bits/);
  assertOneLine(() => call('aten::chunk', x, x), /^chunk: argument 2 must be no Tensor, got a Tensor: /);
  assertOneLine(() => call('aten::view', x, [x]), /^view: argument 2 must be no Tensor/);
  assertOneLine(() => call('aten::relu', x.id), /^relu: argument 1 must be a Tensor, got \d+: /);
  assertOneLine(() => call('aten::cat', [x.id]), /must be a list of Tensors, got a list with/);
  assertOneLine(() => call('aten::softmax.int', x, Symbol('dim')));
  assertOneLine(() => call('aten::softmax.int', x, { valueOf: () => 1 }));
  assertOneLine(() => call('aten::relu', () => x));
  assertOneLine(() => call('aten::add.Tensor', x, new Tensor(-1)), /not a tensor of this thread/);
  assertOneLine(() => call('aten::add.Tensor', x, new Tensor(Number.NaN)), /not a tensor of this thread/);
  assertOneLine(() => call('aten::add.Tensor', x, new Tensor(1e300)), /not a tensor of this thread|was freed/);
  x.dispose();
});

test("the addon's own functions refuse what their types forbid", () => {
  const raw = (name: string, ...args: unknown[]) =>
    Reflect.apply(Reflect.get(native, name) as (...args: unknown[]) => unknown, native, args);
  const values = [undefined, null, 'x', Number.NaN, -1, {}, [], [Number.NaN], () => 0, Symbol('s'), 2 ** 60, 1n];
  // What ends or changes the process by design is not called with nonsense.
  const skipped = new Set([
    'release',
    'loadLibrary',
    'trimMemory',
    'keepFreedMemory',
    'keepInMalloc',
    'setThreads',
    'seed',
  ]);
  for (const name of Object.keys(native)) {
    if (skipped.has(name)) continue;
    for (const a of values)
      for (const b of values) {
        try {
          raw(name, a, b, a, b, a, b);
        } catch (error) {
          assert.ok(error instanceof Error, name);
        }
      }
  }
  native.setAutocast('cpu', undefined);
  native.setGradEnabled(true);
  assert.throws(() => raw('callOperator', 1e9), /no such operator/);
});

test('the same wrong call a thousand times leaks no tensor', () => {
  const before = liveTensors();
  scope(() => {
    const x = ones([2, 3]);
    for (let i = 0; i < 1000; i++) assert.throws(() => x.matmul(x));
  });
  assert.equal(liveTensors(), before);
});

const FUZZED: readonly string[] = [
  ...['add.Tensor', 'mul.Scalar', 'div.Tensor_mode', 'pow.Tensor_Scalar', 'clamp', 'where.self', 'relu', 'softmax.int'],
  ...['sum.dim_IntList', 'mean.dim', 'max.dim', 'argmax', 'topk', 'sort', 'cumsum', 'var.correction', 'nonzero'],
  ...['view', 'reshape', 'permute', 'transpose.int', 'narrow', 'select.int', 'slice.Tensor', 'expand', 'flip', 'roll'],
  ...['cat', 'stack', 'split.Tensor', 'chunk', 'index_select', 'gather', 'scatter_add', 'index.Tensor', 'index_put'],
  ...['masked_fill.Scalar', 'one_hot', 'matmul', 'linear', 'bmm', 'conv2d', 'conv_transpose2d.input', 'max_pool2d'],
  ...['avg_pool2d', 'adaptive_avg_pool2d', 'upsample_nearest2d', 'upsample_bilinear2d', 'grid_sampler', 'batch_norm'],
  ...[
    'group_norm',
    'layer_norm',
    'embedding',
    'binary_cross_entropy_with_logits',
    'cross_entropy_loss',
    'smooth_l1_loss',
  ],
  ...[
    'constant_pad_nd',
    'pad',
    'arange.start_step',
    'linspace',
    'full',
    'zeros',
    'randperm',
    'eye',
    'unique_consecutive',
  ],
];

test('random arguments of random types give results or Errors of one line', () => {
  const seed = Number(process.env.GOSHAWK_FUZZ_SEED ?? 20240607);
  const random = generator(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const before = liveTensors();
  let errors = 0;
  let calls = 0;
  scope(() => {
    const tensors = [
      zeros([]),
      ones([0]),
      ones([3]),
      ones([2, 3]),
      ones([3, 2]),
      zeros([1, 3, 4, 4]),
      ones([2, 3, 3, 3]),
      ones([0, 3, 2, 2]),
      tensor([0, 1, 2], { dtype: 'int64' }),
      tensor([-1, 5], { dtype: 'int64' }),
      tensor([[1, 0, 1]], { dtype: 'bool' }),
      tensor([Number.NaN, Number.POSITIVE_INFINITY]),
      tensor([1, 2, 3], { dtype: 'float64' }),
      tensor([1, 2, 3], { dtype: 'bfloat16' }),
      tensor([1, 2, 3], { dtype: 'uint8' }),
    ];
    // Sizes stay small or absurd: what lies between would be allocated.
    const numbers = [
      0,
      1,
      2,
      3,
      -1,
      -2,
      7,
      0.5,
      -0.25,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 53,
      -(2 ** 53),
      2 ** 47,
    ];
    const scalars: readonly (() => OpArgument)[] = [
      () => pick(numbers),
      () => random() < 0.5,
      () => pick(['float32', 'sum', 'channels_last', 'cpu', '', 'floor']),
      () => undefined,
      () => null,
      () => BigInt(Math.floor(random() * 5)),
    ];
    const argument = (): OpArgument => {
      const kind = random();
      if (kind < 0.45) return pick(tensors);
      if (kind < 0.75) return pick(scalars)();
      const pool: readonly (Tensor | number)[] = random() < 0.4 ? tensors : numbers;
      return Array.from({ length: Math.floor(random() * 5) }, () => pick(pool));
    };
    for (const name of FUZZED) {
      for (let i = 0; i < 300; i++) {
        const args = Array.from({ length: Math.floor(random() * 7) }, argument);
        if (random() < 0.8) args.unshift(pick(tensors));
        calls++;
        try {
          scope(() => {
            callOp(`aten::${name}`, ...args);
          });
        } catch (error) {
          errors++;
          assert.ok(error instanceof Error, `${name}, seed ${seed}`);
          assert.match(error.message, /^[^\n]{1,2000}$/, `${name}, seed ${seed}`);
        }
      }
    }
    assert.deepEqual(tensors[3]?.shape, [2, 3]);
  });
  assert.ok(errors > 0.3 * calls && errors < calls, `${errors} errors in ${calls} calls, seed ${seed}`);
  assert.equal(liveTensors(), before);
});

test('every fuzzed name is one of the engine', () => {
  const known = new Set(operatorNames());
  for (const name of FUZZED) assert.ok(known.has(`aten::${name}`), name);
});
