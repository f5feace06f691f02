// A folded convolution and norm against the two one after the other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { autocast } from '../amp/autocast.js';
import { assertClose } from '../checks/assert-close.js';
import { gradientCheck } from '../checks/gradient-check.js';
import { enableGrad, grad, noGrad } from '../tensor/autograd.js';
import { callOp, callTensorOp } from '../tensor/dispatch.js';
import { liveTensors, scope, type Tensor } from '../tensor/index.js';
import { manualSeed } from '../tensor/runtime.js';
import { wave } from '../testing/wave.js';
import { convScaleShift } from './conv-norm.js';
import {
  AffineChannel2d,
  BatchNorm2d,
  Conv2d,
  convFrozenNorm,
  convNormRelu,
  dropFolded,
  FrozenBatchNorm2d,
  GroupNorm,
} from './index.js';

type Norm = AffineChannel2d | FrozenBatchNorm2d | BatchNorm2d;
const tight = { absolute: 1e-12, relative: 1e-12 };

function pair<N extends Norm>(norm: N, bias = false): { conv: Conv2d; norm: N } {
  manualSeed(1);
  const conv = new Conv2d(2, 3, 3, { padding: 1, bias }).to({ dtype: 'float64' });
  norm.to({ dtype: 'float64' });
  norm.weight.assign(wave([3], 1));
  norm.bias.assign(wave([3], 2));
  if (norm instanceof AffineChannel2d) return { conv, norm };
  norm.runningMean.assign(wave([3], 3));
  norm.runningVar.assign(callTensorOp('aten::abs', wave([3], 4)));
  return { conv, norm };
}

const apart = (input: Tensor, conv: Conv2d, norm: Norm): Tensor => norm.call(conv.call(input));

for (const bias of [false, true]) {
  for (const [name, make] of [
    ['a frozen norm', () => new FrozenBatchNorm2d(3)],
    ['a batch norm in eval mode', () => new BatchNorm2d(3).eval()],
    ['a fixed factor and offset', () => new AffineChannel2d(3)],
  ] as const) {
    test(`${name} ${bias ? 'behind a convolution with a bias ' : ''}folds to the same values and gradients`, () => {
      scope(() => {
        const { conv, norm } = pair<Norm>(make(), bias);
        const input = wave([2, 2, 4, 3], 0.5);
        input.requiresGrad = true;
        const wanted = [input, ...conv.parameters(), ...norm.parameters()].filter((tensor) => tensor.requiresGrad);
        const [folded, composed] = [convFrozenNorm(input, conv, norm), apart(input, conv, norm)];
        assertClose(folded, composed, tight);
        const weights = wave(folded.shape, 0.9);
        const expected = grad([composed], wanted, { gradients: [weights] });
        for (const [i, gradient] of grad([folded], wanted, { gradients: [weights] }).entries()) {
          const other = expected[i];
          assert.ok(gradient && other);
          assertClose(gradient, other, tight);
        }
        const named = Object.fromEntries(wanted.map((tensor, i) => [`input ${i}`, tensor]));
        gradientCheck(() => convFrozenNorm(input, conv, norm), named);
      });
    });
  }
}

test('a batch norm in training mode is not folded', () => {
  scope(() => {
    const { conv, norm } = pair(new BatchNorm2d(3));
    const input = wave([2, 2, 4, 3], 0.5);
    const folded = convFrozenNorm(input, conv, norm);
    assert.equal(norm.numBatchesTracked.item(), 1);
    assertClose(folded, apart(input, conv, norm), tight);
  });
});

test('without gradients the folded weight is made once, and again when a tensor behind it changes', () => {
  scope(() => {
    const { conv, norm } = pair(new FrozenBatchNorm2d(3));
    const input = wave([1, 2, 4, 3], 0.5);
    const check = (): void =>
      noGrad(() => {
        assertClose(convFrozenNorm(input, conv, norm), apart(input, conv, norm), { absolute: 1e-6, relative: 1e-5 });
      });
    check();
    const before = liveTensors();
    check();
    assert.equal(liveTensors(), before, 'nothing new is kept');
    conv.weight.assign(wave(conv.weight.shape, 7));
    check();
    norm.runningVar.assign(wave([3], 1.2));
    check();
    noGrad(() => callOp('aten::mul_.Scalar', conv.weight, 2));
    check();
    norm.loadStateDict(pair(new FrozenBatchNorm2d(3)).norm.stateDict());
    check();
    assert.equal(liveTensors() - before < 20, true);
    conv.to({ dtype: 'float32' });
    norm.to({ dtype: 'float32' });
    using single = input.to('float32');
    noGrad(() => assertClose(convFrozenNorm(single, conv, norm), apart(single, conv, norm)));
    const other = pair(new FrozenBatchNorm2d(3)).norm.to({ dtype: 'float32' });
    noGrad(() => assertClose(convFrozenNorm(single, conv, other), apart(single, conv, other)));
  });
});

test('the kept weight is freed when the convolution goes back to training, and not used for gradients', () => {
  scope(() => {
    const { conv, norm } = pair(new FrozenBatchNorm2d(3));
    const input = wave([1, 2, 4, 3], 0.5);
    noGrad(() => convFrozenNorm(input, conv, norm).dispose());
    const kept = liveTensors();
    enableGrad(() => assert.equal(convFrozenNorm(input, conv, norm).requiresGrad, true));
    conv.train();
    assert.equal(liveTensors(), kept - 2);
    dropFolded(conv);
  });
});

test('a frozen convolution passes gradients on to its input', () => {
  scope(() => {
    const { conv, norm } = pair(new FrozenBatchNorm2d(3));
    conv.freeze();
    const input = wave([1, 2, 4, 3], 0.5);
    input.requiresGrad = true;
    gradientCheck(() => convFrozenNorm(input, conv, norm), { input });
  });
});

test('channels_last stays, and autocasting casts the folded weight, not its parts', () => {
  scope(() => {
    const { conv, norm } = pair(new FrozenBatchNorm2d(3));
    conv.to({ dtype: 'float32', memoryFormat: 'channels_last' });
    norm.to({ dtype: 'float32' });
    const input = wave([1, 2, 4, 3], 0.5).to({ dtype: 'float32', memoryFormat: 'channels_last' });
    const exact = noGrad(() => convFrozenNorm(input, conv, norm));
    assert.equal(exact.isContiguous('channels_last'), true);
    const rounding = { absolute: 0.02, relative: 0.01 };
    const half = noGrad(() => autocast('bfloat16', () => convFrozenNorm(input, conv, norm)));
    assert.equal(half.dtype, 'bfloat16');
    assertClose(half, exact, rounding);
    const learned = autocast('bfloat16', () => convFrozenNorm(input, conv, norm));
    assertClose(learned, half, { absolute: 0, relative: 0 });
    assert.equal(noGrad(() => convFrozenNorm(input, conv, norm)).dtype, 'float32');
    callTensorOp('aten::sum', learned).backward();
    assert.equal(conv.weight.grad?.dtype, 'float32');
  });
});

/** A convolution, a norm, an addition and a ReLU one after another. */
function blockApart(
  input: Tensor,
  conv: Conv2d,
  norm: Norm | GroupNorm,
  residual: Tensor | undefined,
  relu: boolean,
): Tensor {
  const output = norm.call(conv.call(input));
  const sum = residual ? output.add(residual) : output;
  return relu ? callTensorOp('aten::relu', sum) : sum;
}

for (const [name, block] of [
  ['on the CPU', convNormRelu],
  ['as on a card', convScaleShift],
] as const) {
  test(`a residual and a ReLU behind a norm, ${name}, have their values and gradients`, () => {
    scope(() => {
      for (const makeNorm of [
        () => new FrozenBatchNorm2d(3),
        () => new BatchNorm2d(3).eval(),
        () => new BatchNorm2d(3),
        () => new AffineChannel2d(3),
      ])
        for (const bias of [false, true])
          for (const relu of [false, true])
            for (const adds of [false, true]) {
              const { conv, norm } = pair<Norm>(makeNorm(), bias);
              const input = wave([2, 2, 4, 3], 0.5);
              const residual = adds ? wave([2, 3, 4, 3], 1.5) : undefined;
              for (const each of residual ? [input, residual] : [input]) each.requiresGrad = true;
              const wanted = [input, residual, ...conv.parameters(), ...norm.parameters()].filter(
                (each) => each?.requiresGrad,
              ) as Tensor[];
              const expected = blockApart(input, conv, norm, residual, relu);
              const found = block(input, conv, norm, { residual, relu });
              assertClose(found, expected, tight);
              const gradients = [wave(found.shape, 0.9)];
              const expectedGradients = grad([expected], wanted, { gradients });
              for (const [i, gradient] of grad([found], wanted, { gradients }).entries())
                assertClose(gradient!, expectedGradients[i]!, tight);
            }
    });
  });
}

test('a residual and a ReLU behind a group norm', () => {
  scope(() => {
    const { conv } = pair(new FrozenBatchNorm2d(3));
    const norm = new GroupNorm(1, 3).to({ dtype: 'float64' });
    const [input, residual] = [wave([2, 2, 4, 3], 0.5), wave([2, 3, 4, 3], 1.5)];
    const expected = blockApart(input, conv, norm, residual, true);
    assertClose(convNormRelu(input, conv, norm, { residual, relu: true }), expected, tight);
  });
});

test('scale and shift are made once for training too, and again when a tensor behind them changes', () => {
  scope(() => {
    const { conv, norm } = pair(new FrozenBatchNorm2d(3), true);
    conv.bias!.requiresGrad = false;
    const input = wave([1, 2, 4, 3], 0.5);
    const check = (): void =>
      scope(() =>
        assertClose(
          convScaleShift(input, conv, norm, { relu: true }),
          blockApart(input, conv, norm, undefined, true),
          tight,
        ),
      );
    check();
    const before = liveTensors();
    check();
    const change = (body: () => unknown): void => scope(() => noGrad(() => void body()));
    change(() => callOp('aten::mul_.Scalar', conv.weight, 2));
    check();
    for (const changed of [norm.weight, norm.bias, norm.runningMean, norm.runningVar]) {
      change(() => changed.assign(wave([3], 1.2)));
      check();
    }
    change(() => callOp('aten::add_.Scalar', conv.bias!, 1));
    check();
    assert.equal(liveTensors(), before, 'nothing is left of the ones before');
    conv.train();
    assert.equal(liveTensors(), before - 2);
  });
});

test('autocasting keeps the weight of a convolution that does not learn in its type, and scales in float32', () => {
  scope(() => {
    const { conv, norm } = pair(new FrozenBatchNorm2d(3));
    conv.to({ dtype: 'float32', memoryFormat: 'channels_last' });
    norm.to({ dtype: 'float32' });
    const input = wave([1, 2, 4, 3], 0.5).to({ dtype: 'float32', memoryFormat: 'channels_last' });
    const residual = wave([1, 3, 4, 3], 1.5).to('float32');
    const run = (): Tensor => autocast('bfloat16', () => convScaleShift(input, conv, norm, { residual, relu: true }));
    const learned = run();
    assert.equal(learned.dtype, 'bfloat16');
    assert.ok(learned.isContiguous('channels_last'));
    assertClose(learned, blockApart(input, conv, norm, residual, true), { absolute: 0.02, relative: 0.01 });
    callTensorOp('aten::sum', learned).backward();
    assert.equal(conv.weight.grad?.dtype, 'float32');
    const before = liveTensors();
    const still = noGrad(run);
    assertClose(still, learned, { absolute: 0, relative: 0 });
    assert.equal(liveTensors(), before + 2, 'the result, and the weight');
    noGrad(() => callOp('aten::mul_.Scalar', conv.weight, 2));
    assertClose(noGrad(run), blockApart(input, conv, norm, residual, true), { absolute: 0.04, relative: 0.01 });
    dropFolded(conv);
  });
});
