// Optimizers against PyTorch 2.14 (fixtures/make.py), and their saved states.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { assertClose } from '../checks/assert-close.js';
import { Parameter } from '../nn/parameter.js';
import { ones, randn, tensor, zeros } from '../tensor/create.js';
import { callTensorOp } from '../tensor/dispatch.js';
import { liveTensors } from '../tensor/lifetime.js';
import { manualSeed } from '../tensor/runtime.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { assertSameOnAnyThreads } from '../testing/thread-counts.js';
import { wave } from '../testing/wave.js';
import {
  Adam,
  AdamW,
  clipGradNorm,
  clipGradNormOnDevice,
  clipGradValue,
  gradNorm,
  type Optimizer,
  SGD,
  type StepOperators,
} from './index.js';

type Clipped = { norm: number; gradients: number[] };
const fixtures = JSON.parse(
  readFileSync(new URL('../../src/optim/fixtures/torch-optim.json', import.meta.url), 'utf8'),
) as Record<string, [number[], number[]]> & Record<'clip2' | 'clip1' | 'clipInf' | 'clipNot', Clipped>;

interface Run {
  readonly a: Parameter;
  readonly b: Parameter;
  readonly optimizer: Optimizer<{ lr: number }>;
}
type Make = (a: Parameter, b: Parameter, by?: StepOperators) => Run['optimizer'];

const op = callTensorOp;
const power = (base: Tensor, exponent: number): Tensor => op('aten::pow.Tensor_Scalar', base, exponent);

function start(make: Make, by?: StepOperators): Run {
  const a = new Parameter(wave([3, 2], 0.1));
  const b = new Parameter(wave([4], 0.2));
  return { a, b, optimizer: make(a, b, by) };
}

/** The steps of fixtures/make.py. */
function advance({ a, b, optimizer }: Run, from: number, to: number, lr: number): void {
  for (let step = from; step < to; step++) {
    scope(() => {
      if (step === 10) optimizer.setLearningRate(lr / 2);
      optimizer.zeroGrad();
      const offset = power(op('aten::sub.Tensor', a, wave([3, 2], 1.1)), 2);
      let loss = op('aten::sum', op('aten::mul.Tensor', offset, op('aten::add.Scalar', wave([3, 2], 0.4), 1.5)));
      if (step % 4 !== 3) {
        loss = op('aten::add.Tensor', loss, op('aten::sum', power(op('aten::sub.Scalar', b, 0.3), 4)));
        const product = op('aten::mul.Tensor', op('aten::sum', a), op('aten::sum', b));
        loss = op('aten::add.Tensor', loss, product, 0.1);
      }
      loss.backward();
      optimizer.step();
    });
  }
}

const cases: Readonly<Record<string, readonly [lr: number, make: Make]>> = {
  sgd: [0.05, (a, b, by) => new SGD([a, b], { lr: 0.05 }, by)],
  sgdDecay: [0.05, (a, b, by) => new SGD([a, b], { lr: 0.05, weightDecay: 0.1 }, by)],
  sgdMomentum: [0.02, (a, b, by) => new SGD([a, b], { lr: 0.02, momentum: 0.9, weightDecay: 0.1 }, by)],
  sgdDampening: [
    0.02,
    (a, b, by) => new SGD([a, b], { lr: 0.02, momentum: 0.9, dampening: 0.3, weightDecay: 0.1 }, by),
  ],
  sgdNesterov: [0.02, (a, b, by) => new SGD([a, b], { lr: 0.02, momentum: 0.9, nesterov: true, weightDecay: 0.1 }, by)],
  sgdGroups: [
    0.02,
    (a, b, by) =>
      new SGD(
        [
          { params: [a], weightDecay: 0 },
          { params: [b], lr: 0.04 },
        ],
        { lr: 0.02, momentum: 0.9, weightDecay: 0.1 },
        by,
      ),
  ],
  adam: [0.05, (a, b, by) => new Adam([a, b], { lr: 0.05 }, by)],
  adamDecay: [0.05, (a, b, by) => new Adam([a, b], { lr: 0.05, betas: [0.8, 0.99], eps: 1e-6, weightDecay: 0.1 }, by)],
  adamAmsgrad: [0.05, (a, b, by) => new Adam([a, b], { lr: 0.05, betas: [0.5, 0.6], amsgrad: true }, by)],
  adamW: [0.05, (a, b, by) => new AdamW([a, b], { lr: 0.05 }, by)],
  adamWDecay: [0.05, (a, b, by) => new AdamW([a, b], { lr: 0.05, weightDecay: 0.3, amsgrad: true }, by)],
};

/** The second is what a card does, with the engine's operators for the CPU. */
const ways: readonly (readonly [by: StepOperators | undefined, how: string])[] = [
  [undefined, ''],
  ['engine', " by the engine's operators"],
];
for (const [by, how] of ways) {
  for (const [name, [lr, make]] of Object.entries(cases)) {
    test(`${name} takes PyTorch's way over 20 steps${how}`, () => {
      const run = start(make, by);
      advance(run, 0, 20, lr);
      assertClose(run.a, fixtures[name]?.[0] ?? [], { absolute: 1e-12, relative: 1e-11 });
      assertClose(run.b, fixtures[name]?.[1] ?? [], { absolute: 1e-12, relative: 1e-11 });
    });

    test(`${name} goes on bit for bit from a saved state${how}`, () => {
      const whole = start(make, by);
      advance(whole, 0, 20, lr);
      const first = start(make, by);
      advance(first, 0, 12, lr);
      const { tensors, scalars } = first.optimizer.stateDict();
      const copies = new Map(
        Array.from(tensors, ([key, value]) => [key, { dtype: value.dtype, shape: value.shape, data: value.toBytes() }]),
      );
      const resumed = start(make, by);
      resumed.a.assign(first.a);
      resumed.b.assign(first.b);
      // What it did before must not show.
      advance(resumed, 0, 3, 0);
      resumed.a.assign(first.a);
      resumed.b.assign(first.b);
      resumed.optimizer.loadStateDict({ tensors: copies, scalars: JSON.parse(JSON.stringify(scalars)) });
      advance(resumed, 12, 20, lr);
      assert.deepEqual(resumed.a.toNumbers(), whole.a.toNumbers());
      assert.deepEqual(resumed.b.toNumbers(), whole.b.toNumbers());
    });

    test(`a step of ${name} that is left out changes nothing, whenever it is${how}`, () => {
      const whole = start(make, by);
      advance(whole, 0, 20, lr);
      const skipping = start(make, by);
      const skip = (gradient: number): void =>
        scope(() => {
          skipping.a.grad = op('aten::full_like', skipping.a, gradient);
          skipping.b.grad = op('aten::full_like', skipping.b, gradient);
          skipping.optimizer.step({ skipIf: tensor(1, { shape: [] }) });
        });
      for (const from of [0, 4, 8, 12, 16]) {
        skip(from % 8 === 0 ? Number.NaN : 3);
        advance(skipping, from, from + 4, lr);
      }
      assert.deepEqual(skipping.a.toNumbers(), whole.a.toNumbers());
      assert.deepEqual(skipping.b.toNumbers(), whole.b.toNumbers());
      assert.deepEqual(skipping.optimizer.stateDict().scalars, whole.optimizer.stateDict().scalars);
    });
  }
}

test("a state saved under our operators goes on under the engine's, and back", () => {
  for (const [lr, make] of Object.values(cases)) {
    const whole = start(make);
    advance(whole, 0, 20, lr);
    let run = start(make);
    for (const [from, by] of [
      [0, 'engine'],
      [4, 'own'],
      [12, 'engine'],
    ] as const) {
      const next = start(make, by);
      next.a.assign(run.a);
      next.b.assign(run.b);
      next.optimizer.loadStateDict(run.optimizer.stateDict());
      run = next;
      advance(run, from, from === 0 ? 4 : from + 8, lr);
    }
    assertClose(run.a, whole.a.toNumbers(), { absolute: 1e-12, relative: 1e-11 });
    assertClose(run.b, whole.b.toNumbers(), { absolute: 1e-12, relative: 1e-11 });
    assert.deepEqual(run.optimizer.stateDict().scalars, whole.optimizer.stateDict().scalars);
  }
});

test('a state has the names that the parameters were given', () => {
  const weight = new Parameter(ones([2]));
  const optimizer = new SGD([['head.weight', weight]], { lr: 1, momentum: 0.5 });
  weight.grad = ones([2]);
  optimizer.step();
  const { tensors, scalars } = optimizer.stateDict();
  assert.deepEqual([...tensors.keys()], ['head.weight.momentum_buffer']);
  assert.deepEqual(scalars, { 'group_0.lr': 1, 'head.weight.steps': 1 });
  const other = new SGD([['tail.weight', new Parameter(ones([2]))]], { lr: 1, momentum: 0.5 });
  assert.throws(
    () => other.loadStateDict({ tensors, scalars }),
    /head\.weight\.momentum_buffer belongs to no parameter here/,
  );
  assert.throws(
    () => other.loadStateDict({ tensors: new Map(), scalars }),
    /head\.weight\.steps belongs to nothing here/,
  );
  const larger = new SGD([['head.weight', new Parameter(ones([3]))]], { lr: 1, momentum: 0.5 });
  assert.throws(() => larger.loadStateDict({ tensors, scalars }), /momentum_buffer is \[2\], the parameter \[3\]/);
});

test('the learning rate of a group keeps its ratio to the others', () => {
  const [first, second] = [new Parameter(ones([1])), new Parameter(ones([1]))];
  const optimizer = new SGD([{ params: [first] }, { params: [second], lrMultiplier: 2, lr: 0.2 }], { lr: 0.1 });
  optimizer.setLearningRate(0.01);
  assert.deepEqual(
    optimizer.groups.map((group) => group.lr),
    [0.01, 0.02],
  );
});

test('a parameter listed twice, none at all, and nesterov without momentum are errors', () => {
  const parameter = new Parameter(ones([1]));
  assert.throws(() => new SGD([parameter, parameter], { lr: 1 }), /twice/);
  assert.throws(() => new SGD([], { lr: 1 }), /no parameters/);
  assert.throws(() => new SGD([parameter], { lr: 1, nesterov: true }), /nesterov needs a momentum/);
});

test('steps leave no tensors behind', () => {
  for (const [lr, make] of Object.values(cases)) {
    for (const [by] of ways) {
      const run = start(make, by);
      advance(run, 0, 1, lr);
      const before = liveTensors();
      advance(run, 1, 6, lr);
      assert.equal(liveTensors(), before);
    }
  }
});

test('clipping by norm scales as PyTorch does and returns the norm before', () => {
  const norms = {
    clip2: [1.5, 2],
    clip1: [1.5, 1],
    clipInf: [1.5, Number.POSITIVE_INFINITY],
    clipNot: [100, 2],
  } as const;
  for (const [name, [maxNorm, normType]] of Object.entries(norms)) {
    const { a, b } = start((x, y) => new SGD([x, y], { lr: 1 }));
    scope(() => {
      a.grad = op('aten::mul.Scalar', wave([3, 2], 0.5), 3);
      b.grad = wave([4], 0.6);
      const { norm, gradients } = fixtures[name as keyof typeof norms];
      assertClose([gradNorm([a, b], { normType })], [norm], { absolute: 1e-12 });
      assertClose([clipGradNorm([a, b], maxNorm, { normType })], [norm], { absolute: 1e-12 });
      assertClose([...(a.grad?.toNumbers() ?? []), ...(b.grad?.toNumbers() ?? [])], gradients, { absolute: 1e-12 });
    });
  }
  assert.equal(clipGradNorm([new Parameter(ones([1]))], 1), 0);
});

test('clipping without waiting gives the same gradients, and the norm as a tensor', () => {
  scope(() => {
    for (const maxNorm of [0.5, 1.5, 100]) {
      for (const normType of [1, 2, Number.POSITIVE_INFINITY]) {
        const parameters = [0, 1, 2].map((phase) => {
          const parameter = new Parameter(wave([3, phase + 1], phase));
          if (phase !== 1) parameter.grad = wave([3, phase + 1], phase + 0.5);
          return parameter;
        });
        const gradients = (): number[] => parameters.flatMap(({ grad }) => grad?.toNumbers() ?? []);
        const before = parameters.map(({ grad }) => grad && op('aten::clone', grad));
        const norm = clipGradNormOnDevice(parameters, maxNorm, { normType });
        assert.deepEqual(norm.shape, []);
        const clipped = gradients();
        for (const [i, gradient] of before.entries()) parameters[i]!.grad = gradient;
        assertClose([norm.item()], [clipGradNorm(parameters, maxNorm, { normType })], { absolute: 1e-12 });
        assertClose(clipped, gradients(), { absolute: 1e-12 });
      }
    }
    assert.equal(clipGradNormOnDevice([new Parameter(ones([1]))], 1).item(), 0);
  });
});

// Of two million values most are small: where floats are added one after another a sum that has grown swallows them, and the norm
// comes out 1e-4 too small.
test('the norm of large gradients is that of their values, to the last digits of float64', () => {
  scope(() => {
    manualSeed(3);
    const [large, small] = [power(randn([1201, 1703]), 3), randn([13])];
    const laid = [large, op('aten::t', large), large.to('bfloat16'), large.to('float64')];
    for (const gradient of laid) {
      const parameters = [gradient, small].map((grad) => {
        const parameter = new Parameter(op('aten::zeros_like', grad));
        parameter.grad = grad;
        return parameter;
      });
      const all = op(
        'aten::cat',
        [gradient, small].map((grad) => op('aten::flatten.using_ints', grad.to('float64'))),
      );
      for (const normType of [1, 2, 3, Number.POSITIVE_INFINITY]) {
        const wanted = op('aten::linalg_vector_norm', all, normType).item();
        assertClose([gradNorm(parameters, { normType })], [wanted], { relative: 1e-12 });
      }
    }
    const parameter = new Parameter(op('aten::zeros_like', large));
    parameter.grad = large;
    assertSameOnAnyThreads(() => gradNorm([parameter]));
  });
});

test('the norm of gradients shows what is no number', () => {
  for (const normType of [1, 2, Number.POSITIVE_INFINITY]) {
    const parameter = new Parameter(zeros([3]));
    parameter.grad = tensor([1, Number.NaN, 2]);
    assert.ok(Number.isNaN(gradNorm([parameter], { normType })));
    parameter.grad = tensor([1, Number.NEGATIVE_INFINITY, 2]);
    assert.equal(gradNorm([parameter], { normType }), Number.POSITIVE_INFINITY);
    // Their squares leave float32.
    parameter.grad = tensor([3e30, 4e30, 0]);
    assertClose([gradNorm([parameter], { normType })], [{ 1: 7e30, 2: 5e30 }[normType] ?? 4e30], {
      relative: 2 ** -23,
    });
  }
});

test('clipping by value clamps every element', () => {
  const parameter = new Parameter(ones([3]));
  parameter.grad = tensor([-2, 0.5, 3]);
  clipGradValue([parameter], 1);
  assert.deepEqual(parameter.grad?.toNumbers(), [-1, 0.5, 1]);
});
