import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { autocast } from '../amp/index.js';
import { assertClose } from '../checks/index.js';
import { ops } from '../ops/index.js';
import { noGrad, randn, scope, type Tensor, tensor } from '../tensor/index.js';
import { assertSameOnAnyThreads } from '../testing/thread-counts.js';
import { sigmoidFocalLoss } from './focal-loss.js';

interface Case {
  readonly images: number;
  readonly anchors: number;
  readonly classes: number;
  readonly logits: readonly number[];
  readonly targets: readonly number[];
  readonly weights: readonly number[];
  readonly alpha: number;
  readonly gamma: number;
}

const cases: fc.Arbitrary<Case> = fc
  .record({
    images: fc.integer({ min: 1, max: 3 }),
    anchors: fc.integer({ min: 1, max: 40 }),
    classes: fc.integer({ min: 1, max: 23 }),
    alpha: fc.double({ min: 0, max: 1, noNaN: true }),
    gamma: fc.constantFrom(0, 0.5, 1, 2, 2, 2, 3.7),
  })
  .chain((shape) => {
    const rows = shape.images * shape.anchors;
    const exactly = (count: number) => ({ minLength: count, maxLength: count });
    const logit = fc.double({ min: -30, max: 30, noNaN: true }).map(Math.fround);
    return fc.record({
      images: fc.constant(shape.images),
      anchors: fc.constant(shape.anchors),
      classes: fc.constant(shape.classes),
      alpha: fc.constant(shape.alpha),
      gamma: fc.constant(shape.gamma),
      logits: fc.array(logit, exactly(rows * shape.classes)),
      targets: fc.array(fc.integer({ min: -2, max: shape.classes - 1 }), exactly(rows)),
      weights: fc.array(fc.double({ min: 0.01, max: 2, noNaN: true }).map(Math.fround), exactly(shape.images)),
    });
  });

/** log(1 + e^x) without overflow. */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/**
 * Equation 5 of the paper, FL(p_t) = -alpha_t (1 - p_t)^gamma log(p_t), with p_t = sigmoid(z), z the logit of a present
 * class and its negative for an absent one; and its derivative
 * alpha_t (1 - p_t)^gamma (gamma p_t log(p_t) + p_t - 1) (appendix B) with respect to z.
 */
function definition({ images, anchors, classes, logits, targets, weights, alpha, gamma }: Case) {
  let loss = 0;
  const gradient = new Array<number>(logits.length).fill(0);
  for (let row = 0; row < images * anchors; row++) {
    const target = targets[row]!;
    if (target === -2) continue;
    for (let c = 0; c < classes; c++) {
      const sign = c === target ? 1 : -1;
      const z = sign * logits[row * classes + c]!;
      const alphaT = c === target ? alpha : 1 - alpha;
      const logP = -softplus(-z);
      const power = Math.exp(-gamma * softplus(z));
      const weight = weights[Math.floor(row / anchors)]!;
      loss -= weight * alphaT * power * logP;
      const p = Math.exp(logP);
      const q = Math.exp(-softplus(z));
      gradient[row * classes + c] = sign * weight * alphaT * power * (gamma * p * logP - q);
    }
  }
  return { loss, gradient };
}

function inputs(
  { images, anchors, classes, logits, targets, weights }: Case,
  dtype: 'float32' | 'float64' = 'float32',
) {
  const values = tensor(logits, { shape: [images, anchors, classes], dtype });
  values.requiresGrad = true;
  return {
    logits: values,
    targets: tensor(targets, { shape: [images, anchors], dtype: 'int64' }),
    weights: tensor(weights),
  };
}

describe('sigmoidFocalLoss', () => {
  for (const [dtype, relative] of [
    ['float32', 2e-6],
    ['float64', 1e-9],
  ] as const) {
    test(`is the paper's loss and gradient in ${dtype}`, () => {
      fc.assert(
        fc.property(cases, (one) =>
          scope(() => {
            const { logits, targets, weights } = inputs(one, dtype);
            const loss = sigmoidFocalLoss(logits, targets, weights, one);
            const expected = definition(one);
            assertClose(loss, [expected.loss], { relative, absolute: 1e-9 });
            loss.backward();
            // Deep in the tail float32 loses 1 - p first: the error is measured against the slope, at most 1.
            assertClose(logits.grad!, expected.gradient, {
              relative,
              absolute: dtype === 'float32' ? 1e-7 : 1e-12,
            });
          }),
        ),
        { numRuns: 60 },
      );
    });
  }

  test('takes a map of [N, A * C, H, W] in either memory format, cell by cell', () =>
    scope(() => {
      const map = randn([2, 3 * 4, 5, 6]);
      const flat = map.permute([0, 2, 3, 1]).reshape([2, 5 * 6 * 3, 4]);
      const targets = tensor(
        Array.from({ length: 2 * 90 }, (_, i) => (i % 7) - 2),
        { shape: [2, 90], dtype: 'int64' },
      ).clamp({ max: 3 });
      const weights = tensor([1, 0.5]);
      const wanted = sigmoidFocalLoss(flat, targets, weights);
      for (const format of ['contiguous_format', 'channels_last'] as const) {
        const own = map.detach().to({ memoryFormat: format });
        own.requiresGrad = true;
        const loss = sigmoidFocalLoss(own, targets, weights);
        assertClose(loss, [wanted.item() as number], { relative: 0 });
        loss.backward();
        const reference = flat.detach();
        reference.requiresGrad = true;
        sigmoidFocalLoss(reference, targets, weights).backward();
        assertClose(own.grad!.permute([0, 2, 3, 1]).reshape([2, 90, 4]), reference.grad!, { relative: 0 });
      }
    }));

  test('passes a factor on the loss on to the gradient', () =>
    scope(() => {
      const gradientOf = (factor: number): Tensor => {
        const logits = tensor([0.3, -1, 2, 0.1], { shape: [1, 2, 2] });
        logits.requiresGrad = true;
        const loss = sigmoidFocalLoss(logits, tensor([[0, -1]], { dtype: 'int64' }), tensor([1]));
        ops.mul(loss, factor).backward();
        return logits.grad!;
      };
      assertClose(gradientOf(3), ops.mul(gradientOf(1), 3), { relative: 0 });
    }));

  test('keeps the memory of bfloat16 logits and computes in float32', () =>
    scope(() => {
      const exact = randn([2, 300, 5]).to('bfloat16');
      const targets = tensor(
        Array.from({ length: 600 }, (_, i) => (i % 50 === 0 ? i % 5 : -1)),
        { shape: [2, 300], dtype: 'int64' },
      );
      const weights = tensor([0.1, 0.2]);
      const low = exact.detach();
      low.requiresGrad = true;
      const loss = autocast('bfloat16', () => sigmoidFocalLoss(low, targets, weights));
      loss.backward();
      const high = exact.to('float32');
      high.requiresGrad = true;
      const wanted = sigmoidFocalLoss(high, targets, weights);
      wanted.backward();
      assert.equal(loss.dtype, 'float32');
      assert.equal(low.grad!.dtype, 'bfloat16');
      assertClose(loss, [wanted.item() as number], { relative: 0 });
      assertClose(low.grad!.to('float32'), high.grad!, { relative: 2 ** -8, absolute: 1e-9 });
    }));

  test('gives the same bits on any number of threads', () => {
    assertSameOnAnyThreads(() => {
      const logits = ops.sin(ops.arange(0, 90_000)).reshape([2, 4500, 10]);
      logits.requiresGrad = true;
      const targets = ops
        .remainder(ops.arange(0, 9000, { dtype: 'int64' }), 12)
        .sub(2)
        .reshape([2, 4500]);
      const loss = sigmoidFocalLoss(logits, targets, tensor([1, 2]));
      loss.backward();
      return [loss.item(), logits.grad!.toFloat32Array()];
    });
  });

  test("in float16 the gradient is rounded behind a scaled loss's factor: nothing vanishes, nothing overflows", () =>
    scope(() => {
      // exp(-9)^2 is below float16's smallest number, and a factor of 65536 above its largest.
      const values = tensor([-9, -8, 2, 0.5], { shape: [1, 2, 2] });
      const gradientAs = (dtype: 'float16' | 'float32'): readonly number[] => {
        const logits = values.to(dtype).detach();
        logits.requiresGrad = true;
        const loss = sigmoidFocalLoss(logits, tensor([[-1, 1]], { dtype: 'int64' }), tensor([1]));
        ops.mul(loss, 65536).backward();
        assert.equal(logits.grad!.dtype, dtype);
        return logits.grad!.toNumbers();
      };
      const [half, single] = [gradientAs('float16'), gradientAs('float32')];
      assert.ok(single.every((value) => value !== 0));
      // Half of the smallest step of float16.
      assertClose(half, single, { relative: 1e-3, absolute: 2 ** -25 });
    }));

  test('shows a logit that is not a number', () =>
    scope(() => {
      const logits = tensor([Number.NaN, 1], { shape: [1, 2, 1] });
      const loss = sigmoidFocalLoss(logits, tensor([[-1, -1]], { dtype: 'int64' }), tensor([1]));
      assert.ok(Number.isNaN(loss.item()));
    }));

  test('is 0 for no anchors, and records nothing without gradients', () =>
    scope(() => {
      const none = sigmoidFocalLoss(
        tensor([], { shape: [2, 0, 3] }),
        tensor([], { shape: [2, 0], dtype: 'int64' }),
        tensor([1, 1]),
      );
      assert.equal(none.item(), 0);
      const logits = randn([1, 4, 2]);
      logits.requiresGrad = true;
      const loss = noGrad(() => sigmoidFocalLoss(logits, tensor([[0, 1, -1, -2]], { dtype: 'int64' }), tensor([1])));
      assert.equal(loss.requiresGrad, false);
    }));

  test('says which argument does not fit', () =>
    scope(() => {
      const logits = randn([1, 4, 2]);
      const weights = tensor([1]);
      const targets = (values: readonly number[]) => tensor([values], { dtype: 'int64' });
      assert.throws(() => sigmoidFocalLoss(logits, targets([0, 1, 2, 0]), weights), /targets must be classes 0\.\.1/);
      assert.throws(() => sigmoidFocalLoss(logits, targets([0, 1, -3, 0]), weights), /-2 to be left out/);
      assert.throws(
        () => sigmoidFocalLoss(logits, targets([0, 1, 0]), weights),
        /logits must be \[N, anchors, classes\]/,
      );
      assert.throws(() => sigmoidFocalLoss(logits, tensor([[0, 1, 0, 0]]), weights), /int64/);
      assert.throws(() => sigmoidFocalLoss(logits, targets([0, 1, 0, 1]), tensor([1, 2])), /weights \[N\]/);
    }));
});
