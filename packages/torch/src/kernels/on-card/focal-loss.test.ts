// Focal loss on a card: the CPU's gradient to the bit where the CPU has a kernel for the type, and its loss but for the order of the sum.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../checks/index.js';
import { callOp, type DType, manualSeed, randint, randn, scope, type Tensor, tensor } from '../../tensor/index.js';
import { callOnEmulatedCard } from '../../testing/emulated-card.js';

const OPERATOR = 'sigmoid_focal_loss_and_gradient';

function both(logits: Tensor, targets: Tensor, weights: Tensor, alpha: number, gamma: number) {
  const args = [logits, targets, weights, alpha, gamma, true] as const;
  const [loss, gradient] = callOnEmulatedCard(OPERATOR, ...args) as [Tensor, Tensor];
  const [wantedLoss, wantedGradient] = callOp(`goshawk::${OPERATOR}`, ...args) as [Tensor, Tensor];
  assert.equal(gradient.dtype, logits.dtype);
  assert.deepEqual(gradient.shape, wantedGradient.shape);
  return { loss, gradient, wantedLoss, wantedGradient };
}

/** Sizes with and without whole vectors, with more anchors than a partial sum has. */
const SHAPES = [
  [2, 300, 80],
  [1, 1, 1],
  [3, 257, 1],
  [2, 7, 3],
  [1, 513, 6],
] as const;

test('float32 and bfloat16 logits', () => {
  manualSeed(1);
  scope(() => {
    for (const dtype of ['float32', 'bfloat16'] as const)
      for (const [images, anchors, classes] of SHAPES)
        for (const gamma of [2, 0, 1.5]) {
          const logits = randn([images, anchors, classes]).mul(6).to(dtype);
          const targets = randint(-2, classes, [images, anchors]);
          const weights = tensor([0.7, 1.5, 0.01].slice(0, images));
          const { loss, gradient, wantedLoss, wantedGradient } = both(logits, targets, weights, 0.25, gamma);
          assert.equal(loss.dtype, 'float32');
          assertClose(loss, wantedLoss, { relative: 1e-6, absolute: 1e-9 });
          assert.deepEqual(gradient.toNumbers(), wantedGradient.toNumbers());
        }
  });
});

test('float16 and float64 logits', () => {
  manualSeed(2);
  scope(() => {
    for (const [dtype, relative, absolute] of [
      ['float16', 1e-3, 1e-7],
      ['float64', 1e-12, 1e-14],
    ] as const satisfies readonly (readonly [DType, number, number])[])
      for (const [images, anchors, classes] of SHAPES)
        for (const gamma of [2, 0.5]) {
          const logits = randn([images, anchors, classes]).mul(4).to(dtype);
          const targets = randint(-2, classes, [images, anchors]);
          const weights = tensor([0.7, 1.5, 0.01].slice(0, images), { dtype: 'float64' });
          const { loss, gradient, wantedLoss, wantedGradient } = both(logits, targets, weights, 0.25, gamma);
          assert.equal(loss.dtype, dtype === 'float64' ? 'float64' : 'float32');
          assertClose(loss, wantedLoss, { relative: dtype === 'float64' ? 1e-12 : 1e-5, absolute: 1e-9 });
          assertClose(gradient.to('float64'), wantedGradient.to('float64'), { relative, absolute });
        }
  });
});

test('maps in either memory format, also where they begin between two vectors', () => {
  manualSeed(3);
  scope(() => {
    const maps = randn([2, 3 * 4, 5, 6]);
    const targets = randint(-2, 4, [2, 90]);
    const weights = tensor([1, 0.5]);
    for (const format of ['contiguous_format', 'channels_last'] as const) {
      const own = maps.to({ memoryFormat: format });
      const { gradient, wantedGradient } = both(own, targets, weights, 0.25, 2);
      assert.deepEqual(gradient.toNumbers(), wantedGradient.toNumbers());
    }
    const odd = (callOp('aten::narrow', randn([1 + 2 * 90 * 4]), 0, 1, 720) as Tensor).reshape([2, 90, 4]);
    const { gradient, wantedGradient } = both(odd, targets, weights, 0.25, 2);
    assert.deepEqual(gradient.toNumbers(), wantedGradient.toNumbers());
  });
});

test('a target that is no class counts as none, and nothing outside is written', () => {
  manualSeed(4);
  scope(() => {
    const logits = randn([1, 5, 3]);
    const weights = tensor([1]);
    const targets = (values: readonly number[]) => tensor([values], { dtype: 'int64' });
    const wrong = callOnEmulatedCard(OPERATOR, logits, targets([3, 2 ** 40, -7, 1, -2]), weights, 0.25, 2, true);
    const none = callOp(`goshawk::${OPERATOR}`, logits, targets([-1, -1, -1, 1, -2]), weights, 0.25, 2, true);
    assert.deepEqual((wrong as Tensor[])[1]!.toNumbers(), (none as Tensor[])[1]!.toNumbers());
  });
});

test('a logit that is not a number shows; without a gradient none is made; no anchors cost nothing', () => {
  scope(() => {
    const targets = tensor([[-1, -1]], { dtype: 'int64' });
    const run = (logits: Tensor, own: Tensor, withGradient: boolean) =>
      callOnEmulatedCard(OPERATOR, logits, own, tensor([1]), 0.25, 2, withGradient) as [Tensor, Tensor];
    assert.ok(Number.isNaN(run(tensor([Number.NaN, 1], { shape: [1, 2, 1] }), targets, true)[0].item()));
    const [loss, gradient] = run(tensor([0, 0], { shape: [1, 2, 1] }), targets, false);
    assertClose(loss, [2 * 0.75 * 0.25 * Math.log(2)]);
    assert.deepEqual(gradient.shape, [0]);
    const none = tensor([], { shape: [1, 0], dtype: 'int64' });
    assert.equal(run(tensor([], { shape: [1, 0, 3] }), none, true)[0].item(), 0);
  });
});
