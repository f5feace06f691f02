// Autocasting and loss scaling.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../checks/assert-close.js';
import { Linear } from '../nn/linear.js';
import { Parameter } from '../nn/parameter.js';
import { Adam } from '../optim/adam.js';
import type { StepOperators } from '../optim/optimizer.js';
import { SGD } from '../optim/sgd.js';
import { noGrad } from '../tensor/autograd.js';
import { ones, tensor } from '../tensor/create.js';
import { callTensorOp } from '../tensor/dispatch.js';
import { engineInfo } from '../tensor/runtime.js';
import { scope } from '../tensor/scope.js';
import { autocast, autocastDType, canAutocast, GradScaler } from './index.js';

test('inside autocast() products are computed in bfloat16, gradients come in the types of the parameters', () => {
  scope(() => {
    const linear = new Linear(3, 2);
    const input = ones([4, 3]);
    const output = autocast('bfloat16', () => linear.call(input));
    assert.equal(output.dtype, 'bfloat16');
    assertClose(output, linear.call(input), { absolute: 0.02, relative: 0.01 });
    callTensorOp('aten::sum', output).backward();
    assert.equal(linear.weight.grad?.dtype, 'float32');
    assert.deepEqual(linear.weight.grad?.toNumbers(), [4, 4, 4, 4, 4, 4]);
  });
});

test('autocast() ends with its body, also by an error, and can be turned off inside', () => {
  scope(() => {
    const linear = new Linear(3, 2);
    const dtypeNow = (): string => linear.call(ones([1, 3])).dtype;
    autocast('bfloat16', () => {
      assert.equal(autocastDType(), 'bfloat16');
      autocast(undefined, () => assert.equal(dtypeNow(), 'float32'));
      assert.equal(dtypeNow(), 'bfloat16');
    });
    assert.throws(() =>
      autocast('bfloat16', () => {
        throw new Error('inside');
      }),
    );
    assert.equal(autocastDType(), undefined);
    assert.equal(dtypeNow(), 'float32');
  });
});

test('a weight changed between two autocast() calls is cast anew', () => {
  scope(() => {
    const linear = new Linear(1, 1, { bias: false });
    for (const value of [1, 2, 3]) {
      linear.weight.assign(tensor([[value]]));
      assert.equal(autocast('bfloat16', () => linear.call(ones([1, 1]))).item(), value);
    }
  });
});

test('a weight first used in noGrad() inside autocast() still gets its gradient outside of it', () => {
  scope(() => {
    const linear = new Linear(1, 1, { bias: false });
    const output = autocast('bfloat16', () => {
      noGrad(() => linear.call(ones([1, 1])));
      return linear.call(ones([1, 1]));
    });
    callTensorOp('aten::sum', output).backward();
    assert.equal(linear.weight.grad?.item(), 1);
  });
});

const [major = 0, minor = 0] = engineInfo().version.split('.').map(Number);
const castsToFloat16 = major > 2 || (major === 2 && minor >= 4);

test('float16 inside bfloat16 casts the weights anew; a libtorch before 2.4 refuses it on the CPU', () => {
  scope(() => {
    const linear = new Linear(2, 2);
    autocast('bfloat16', () => {
      assert.equal(linear.call(ones([1, 2])).dtype, 'bfloat16');
      const inner = (): string => autocast('float16', () => linear.call(ones([1, 2])).dtype);
      if (castsToFloat16) assert.equal(inner(), 'float16');
      else assert.throws(inner, /bfloat16 alone on the CPU/);
      assert.equal(linear.call(ones([1, 2])).dtype, 'bfloat16');
    });
  });
});

/** The second is what a card does, with the engine's operators for the CPU. */
const ways: readonly (readonly [by: StepOperators | undefined, how: string])[] = [
  [undefined, ''],
  ['engine', " by the engine's operators"],
];
for (const [by, how] of ways) {
  test(`a scaled loss gives the same step${how}`, () => {
    scope(() => {
      const parameter = new Parameter(tensor([2]));
      const optimizer = new SGD([parameter], { lr: 0.1 }, by);
      const scaler = new GradScaler({ initialScale: 1024 });
      scaler.scale(callTensorOp('aten::mul.Tensor', parameter, parameter)).backward();
      assert.equal(parameter.grad?.item(), 4096);
      scaler.unscale(optimizer);
      assert.equal(parameter.grad?.item(), 4);
      assert.throws(() => scaler.unscale(optimizer), /already/);
      assert.equal(scaler.step(optimizer), true);
      scaler.update();
      assertClose(parameter, [1.6]);
    });
  });

  test(`an overflow skips the step and halves the scale; a row of good steps doubles it${how}`, () => {
    scope(() => {
      const parameter = new Parameter(tensor([2, 3]));
      const optimizer = new SGD([parameter], { lr: 1 }, by);
      const scaler = new GradScaler({ initialScale: 8, growthInterval: 2 });
      const stepWith = (gradient: number): boolean => {
        parameter.grad = tensor([0, gradient]);
        const stepped = scaler.step(optimizer);
        scaler.update();
        return stepped;
      };
      for (const bad of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN])
        assert.equal(stepWith(bad), false);
      assert.deepEqual(parameter.toNumbers(), [2, 3]);
      assert.equal(scaler.currentScale, 1);
      // Squares of these would overflow, they themselves do not.
      assert.equal(stepWith(1e30), true);
      assert.deepEqual(scaler.stateDict(), { scale: 1, growthTracker: 1 });
      const resumed = new GradScaler({ growthInterval: 2 });
      resumed.loadStateDict(scaler.stateDict());
      for (const each of [scaler, resumed]) {
        each.step(optimizer);
        each.update();
        assert.deepEqual(each.stateDict(), { scale: 2, growthTracker: 0 });
      }
    });
  });
}

test('a step without waiting says in a tensor whether it was left out, also of Adam, whose count of steps stays', () => {
  for (const [by] of ways) {
    scope(() => {
      const parameter = new Parameter(tensor([2, 3]));
      const optimizer = new Adam([['p', parameter]], { lr: 0.1 }, by);
      const scaler = new GradScaler({ initialScale: 4 });
      const stepWith = (gradient: number): number => {
        parameter.grad = tensor([gradient, 1]);
        const skipped = scaler.stepOnDevice(optimizer);
        scaler.update();
        return skipped.item();
      };
      assert.deepEqual([4, Number.NaN, 8].map(stepWith), [0, 1, 0]);
      assert.equal(optimizer.stateDict().scalars['p.steps'], 2);
      assert.equal(scaler.currentScale, 2);
      const [plain, same] = [new Parameter(tensor([2, 3])), new Parameter(tensor([2, 3]))];
      const unscaled = new Adam([plain], { lr: 0.1 }, by);
      for (const gradient of [
        [1, 0.25],
        [4, 0.5],
      ]) {
        plain.grad = tensor(gradient);
        unscaled.step();
      }
      assert.deepEqual(parameter.toNumbers(), plain.toNumbers());
      assert.notDeepEqual(plain.toNumbers(), same.toNumbers());
    });
  }
});

test('two optimizers share a scale: an overflow of one lowers it, and the other steps', () => {
  scope(() => {
    const [good, bad] = [new Parameter(tensor([1])), new Parameter(tensor([1]))];
    const optimizers = [good, bad].map((parameter) => new SGD([parameter], { lr: 1 }));
    const scaler = new GradScaler({ initialScale: 2 });
    good.grad = tensor([1]);
    bad.grad = tensor([Number.POSITIVE_INFINITY]);
    assert.deepEqual(
      optimizers.map((optimizer) => scaler.step(optimizer)),
      [true, false],
    );
    scaler.update();
    assert.deepEqual([good.item(), bad.item(), scaler.currentScale], [0.5, 1, 1]);
  });
});

test('float16 on the CPU is there where the engine says so', () => {
  assert.deepEqual(
    [canAutocast('bfloat16'), canAutocast('float16', 'cuda:0'), canAutocast('float16')],
    [true, true, castsToFloat16],
  );
});
