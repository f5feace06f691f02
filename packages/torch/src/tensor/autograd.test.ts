import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ops } from '../ops/index.js';
import {
  backward,
  enableGrad,
  grad,
  isGradEnabled,
  liveTensors,
  manualSeed,
  noGrad,
  ones,
  randn,
  scope,
  type Tensor,
  tensor,
} from './index.js';

function leaf(values: number[]): Tensor {
  const x = tensor(values, { dtype: 'float64' });
  x.requiresGrad = true;
  return x;
}

function assertClose(actual: readonly number[], expected: readonly number[], tolerance = 1e-9): void {
  assert.equal(actual.length, expected.length);
  for (const [i, value] of expected.entries()) {
    const got = actual[i] ?? Number.NaN;
    assert.ok(Math.abs(got - value) <= tolerance * Math.max(1, Math.abs(value)), `[${i}]: ${got}, expected ${value}`);
  }
}

test('gradients are those of the calculus', () => {
  const at = [0.5, -1.25, 2];
  const cases: readonly [string, (x: Tensor) => Tensor, (x: number) => number][] = [
    ['x^3', (x) => x.pow(3), (x) => 3 * x * x],
    ['sin', (x) => x.sin(), Math.cos],
    ['exp', (x) => x.exp(), Math.exp],
    ['tanh', (x) => x.tanh(), (x) => 1 - Math.tanh(x) ** 2],
    ['sigmoid', (x) => x.sigmoid(), (x) => Math.exp(-x) / (1 + Math.exp(-x)) ** 2],
    ['relu', (x) => x.relu(), (x) => (x > 0 ? 1 : 0)],
    ['1 / (1 + x^2)', (x) => x.square().add(1).reciprocal(), (x) => (-2 * x) / (1 + x * x) ** 2],
  ];
  scope(() => {
    for (const [name, f, derivative] of cases) {
      const x = leaf(at);
      f(x).sum().backward();
      assert.ok(x.grad, name);
      assertClose(x.grad.toNumbers(), at.map(derivative));
    }
  });
});

test("a convolution's gradients agree with differences of its output", () => {
  scope(() => {
    manualSeed(7);
    const x = randn([1, 2, 5, 4], { dtype: 'float64' });
    const w = randn([3, 2, 3, 3], { dtype: 'float64' });
    w.requiresGrad = true;
    const loss = () => ops.conv2d(x, w, { padding: 1, stride: 2 }).sin().sum();
    loss().backward();
    const step = 1e-6;
    const flat = w.detach().view([-1]);
    const expected = Array.from({ length: 54 }, (_, i) => {
      const at = flat.narrow(0, i, 1);
      at.add_(step);
      const above = loss().item();
      at.sub_(2 * step);
      const below = loss().item();
      at.add_(step);
      return (above - below) / (2 * step);
    });
    assertClose(w.grad?.toNumbers() ?? [], expected, 1e-6);
  });
});

test('backward() adds to the gradient, and undefined clears it', () => {
  scope(() => {
    const x = leaf([1, 2]);
    x.mul(3).sum().backward();
    x.mul(3).sum().backward();
    assert.deepEqual(x.grad?.toNumbers(), [6, 6]);
    x.grad = undefined;
    assert.equal(x.grad, undefined);
    x.grad = tensor([5, 5], { dtype: 'float64' });
    x.sum().backward();
    assert.deepEqual(x.grad?.toNumbers(), [6, 6]);
  });
});

test('a second backward() needs retainGraph', () => {
  scope(() => {
    const x = leaf([2]);
    const once = x.square().sum();
    once.backward();
    assert.throws(() => once.backward(), /second time/);
    const twice = x.square().sum();
    twice.backward({ retainGraph: true });
    twice.backward();
    assert.deepEqual(x.grad?.toNumbers(), [12]);
  });
});

test('backward() of what is no scalar takes the gradient of its output', () => {
  scope(() => {
    const x = leaf([1, 2]);
    assert.throws(() => x.square().backward(), /scalar outputs/);
    x.square().backward({ gradient: tensor([1, 10], { dtype: 'float64' }) });
    assert.deepEqual(x.grad?.toNumbers(), [2, 40]);
    assert.throws(() => ones([1]).backward(), /does not require grad/);
  });
});

test('backward() of several tensors adds up in one pass', () => {
  scope(() => {
    const x = leaf([3]);
    const shared = x.square();
    backward([shared.mul(2).sum(), shared.sum()]);
    assert.deepEqual(x.grad?.toNumbers(), [18]);
  });
});

test('grad() gives derivatives of second order and leaves `grad` alone', () => {
  scope(() => {
    const x = leaf([2]);
    const [first] = grad([x.pow(4).sum()], [x], { createGraph: true });
    assert.deepEqual(first?.toNumbers(), [32]);
    const [second] = grad([first?.sum() as Tensor], [x]);
    assert.deepEqual(second?.toNumbers(), [48]);
    assert.equal(x.grad, undefined);
  });
});

test('grad() of an input that plays no part is undefined where that is allowed', () => {
  scope(() => {
    const x = leaf([2]);
    const y = leaf([1]);
    assert.deepEqual(grad([x.square().sum()], [x, y], { allowUnused: true })[1], undefined);
    assert.throws(() => grad([x.square().sum()], [y]), Error);
  });
});

test('noGrad() records nothing, enableGrad() inside it does, and both end with their body', () => {
  scope(() => {
    const x = leaf([1]);
    assert.equal(isGradEnabled(), true);
    noGrad(() => {
      assert.equal(isGradEnabled(), false);
      assert.equal(x.mul(2).requiresGrad, false);
      assert.equal(enableGrad(() => x.mul(2)).requiresGrad, true);
    });
    assert.throws(() =>
      noGrad(() => {
        throw new Error('inside');
      }),
    );
    assert.equal(x.mul(2).requiresGrad, true);
  });
});

test('detach() cuts the graph, leaves are told from results, integers refuse', () => {
  scope(() => {
    const x = leaf([1]);
    assert.ok(x.isLeaf && !x.mul(2).isLeaf);
    assert.equal(x.mul(2).detach().requiresGrad, false);
    assert.throws(() => {
      tensor([1], { dtype: 'int64' }).requiresGrad = true;
    }, /floating point/);
    assert.throws(() => x.add_(1), /leaf [Vv]ariable that requires grad/);
  });
});

test('the graph of a freed tensor lives as long as what was computed from it', () => {
  const before = liveTensors();
  scope(() => {
    const x = leaf([3]);
    const y = scope(() => x.mul(x).mul(x).sum());
    y.backward();
    assert.deepEqual(x.grad?.toNumbers(), [27]);
  });
  assert.equal(liveTensors(), before);
});
