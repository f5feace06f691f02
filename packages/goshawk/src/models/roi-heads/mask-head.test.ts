import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, manualSeed, noGrad, ops, randn, scope, type Tensor, tensor } from '@goshawk/torch';
import { CONVENTIONS } from '../conventions.js';
import type { Targets } from '../structures.js';
import { MaskHead, MaskPredictor, Stage5MaskHead } from './mask-head.js';
import { croppedMasks, maskGoals, maskLoss } from './mask-loss.js';

const int64 = (values: readonly number[]): Tensor =>
  tensor(BigInt64Array.from(values, BigInt), { shape: [values.length] });

/** All classes' masks by the 1x1 convolution, then each RoI's own. */
function allClassesThenOne(predictor: MaskPredictor, hidden: Tensor, labels: readonly number[]): Tensor {
  const all = predictor.maskFcnLogits.forward(ops.relu(predictor.conv5Mask.forward(hidden)));
  return ops.stack(labels.map((label, roi) => ops.select(ops.select(all, 0, roi), 0, label)));
}

describe('MaskPredictor', () => {
  const labels = [3, 0, 1, 3];

  test('gives the logits of the wanted classes as the full convolution does, and the same gradients', () =>
    scope(() => {
      manualSeed(4);
      const predictor = new MaskPredictor(6, 5, 4);
      noGrad(() => ops.copy_(predictor.maskFcnLogits.bias!, tensor([0.1, -0.2, 0.3, 0.4])));
      const weights = randn([4, 6, 6]);
      const run = (logitsOf: (hidden: Tensor) => Tensor) => {
        predictor.zeroGrad();
        manualSeed(5);
        const hidden = randn([4, 6, 3, 3]);
        hidden.requiresGrad = true;
        const logits = logitsOf(hidden);
        ops.sum(ops.mul(logits, weights)).backward();
        const gradients = predictor.parameters().map((parameter) => parameter.grad!.toNumbers());
        return { logits, gradients: [...gradients, hidden.grad!.toNumbers()] };
      };
      const own = run((hidden) => predictor.forward(hidden, int64(labels)));
      const full = run((hidden) => allClassesThenOne(predictor, hidden, labels));
      assert.deepEqual(own.logits.shape, [4, 6, 6]);
      assertClose(own.logits, full.logits.toNumbers());
      for (const [i, gradient] of own.gradients.entries())
        assertClose(gradient, full.gradients[i]!, { relative: 5e-6, absolute: 1e-6 });
    }));

  test('takes an empty batch', () =>
    scope(() => {
      const logits = new MaskPredictor(6, 5, 4).forward(randn([0, 6, 3, 3]), int64([]));
      assert.deepEqual(logits.shape, [0, 6, 6]);
    }));
});

describe('MaskPredictor with an upsampling', () => {
  test('enlarges the wanted map bilinearly', () =>
    scope(() => {
      manualSeed(4);
      const predictor = new MaskPredictor(6, 5, 4, { upsampleRatio: 2 });
      const plain = new MaskPredictor(6, 5, 4);
      plain.loadStateDict(new Map([...predictor.stateDict()].filter(([name]) => !name.startsWith('upsample'))));
      const hidden = randn([2, 6, 3, 3]);
      const large = predictor.forward(hidden, int64([1, 3]));
      assert.deepEqual(large.shape, [2, 12, 12]);
      const small = ops.unsqueeze(plain.forward(hidden, int64([1, 3])), 1);
      const inside = (values: Tensor): Tensor => ops.narrow(ops.narrow(values, 1, 2, 8), 2, 2, 8);
      const enlarged = ops.squeeze(ops.upsample_bilinear2d(small, [12, 12], false), 1);
      assertClose(inside(large), inside(enlarged), { absolute: 5e-7 });
    }));
});

// Detectron's modeling/mask_rcnn_heads.py, add_mask_rcnn_outputs with USE_FC_OUTPUT: the layer reads channels, rows and columns
// one after another, and writes classes, rows and columns.
describe('MaskPredictor with a fully connected output', () => {
  for (const upsampleRatio of [1, 2]) {
    test(`is a sum over all cells for each class and cell, enlarged by ${upsampleRatio}`, () =>
      scope(() => {
        manualSeed(4);
        const predictor = new MaskPredictor(3, 2, 3, { output: 'fully_connected', cells: 2, upsampleRatio });
        assert.equal(predictor.upsample, undefined);
        const side = 4 * upsampleRatio;
        const { weight, bias } = predictor.maskFcnLogits;
        assert.deepEqual(weight.shape, [3 * side * side, 2 * 4 * 4]);
        noGrad(() => ops.copy_(bias!, randn(bias!.shape)));
        const hidden = randn([3, 3, 2, 2]).to({ memoryFormat: 'channels_last' });
        const labels = [2, 0, 1];
        const logits = predictor.forward(hidden, int64(labels));
        assert.deepEqual(logits.shape, [3, side, side]);
        const features = ops.relu(predictor.conv5Mask.forward(hidden)).toNumbers();
        const [weights, biases] = [weight.toNumbers(), bias!.toNumbers()];
        const expected = labels.flatMap((label, roi) =>
          Array.from({ length: side * side }, (_, cell) => {
            const output = label * side * side + cell;
            const own = features.slice(roi * 32, (roi + 1) * 32);
            return own.reduce((sum, value, input) => sum + value * weights[output * 32 + input]!, biases[output]!);
          }),
        );
        assertClose(logits.toNumbers(), expected, { absolute: 1e-6 });
      }));
  }

  test('starts with weights of a deviation of 0.001, and takes an empty batch', () =>
    scope(() => {
      manualSeed(4);
      const predictor = new MaskPredictor(6, 5, 4, { output: 'fully_connected', cells: 3 });
      const { weight } = predictor.maskFcnLogits;
      assertClose([ops.std(weight).item()], [0.001], { relative: 0.02 });
      assert.deepEqual(predictor.forward(randn([0, 6, 3, 3]), int64([])).shape, [0, 6, 6]);
    }));
});

describe('Stage5MaskHead', () => {
  const resNet = { depth: 50, width: 4, norm: 'affine', frozenStages: 0, strideIn1x1: true } as const;

  test('halves 14 cells and keeps 7, dilated or not', () =>
    scope(() => {
      for (const poolSize of [14, 7])
        for (const dilation of [1, 2]) {
          const head = new Stage5MaskHead(resNet, { poolSize, dilation });
          assert.deepEqual(head.call(randn([2, 64, poolSize, poolSize])).shape, [2, 128, 7, 7]);
        }
    }));

  test('reads cells twice as far away with a dilation of 2', () =>
    scope(() => {
      manualSeed(5);
      /** How far from the middle of 13 cells a change of it is seen, along a row. */
      const reach = (dilation: number): number => {
        const head = new Stage5MaskHead(resNet, { poolSize: 13, dilation });
        const input = ops.zeros([1, 64, 13, 13]);
        const before = head.call(input);
        ops.fill_(ops.narrow(ops.narrow(input, 2, 6, 1), 3, 6, 1), 5);
        const change = ops.amax(ops.abs(ops.sub(head.call(input), before)), { dim: [0, 1, 2] }).toNumbers();
        return Math.max(...change.map((value, column) => (value > 1e-6 ? Math.abs(column - 6) : 0)));
      };
      // Three blocks of one 3x3 convolution each.
      assert.deepEqual([reach(1), reach(2)], [3, 6]);
    }));
});

describe('maskGoals', () => {
  // A square of 8 x 8 pixels in a picture of 32 x 32; the network saw it twice as large.
  const target = (): Targets => ({
    boxes: tensor([16, 16, 32, 32], { shape: [1, 4] }),
    labels: int64([1]),
    masks: {
      pixels: tensor(new Uint8Array(16 * 16).fill(1)),
      crops: tensor(BigInt64Array.of(0n, 16n, 16n, 16n, 16n), { shape: [1, 5] }),
    },
    polygons: [[Float64Array.of(16, 16, 32, 16, 32, 32, 16, 32)]],
  });
  const rois = [
    [16, 16, 32, 32],
    [0, 16, 32, 32],
  ];
  const positives = () => ({
    rois: tensor(rois.flat(), { shape: [2, 4] }),
    boxes: tensor(
      rois.flat().map((side) => side / 2),
      { shape: [2, 4] },
    ),
    objects: int64([0, 0]),
    target: target(),
    size: [64, 64] as const,
    scale: { x: 2, y: 2 },
  });

  for (const rules of ['torchvision', 'detectron', 'mmdetection'] as const) {
    test(`are the object inside its boxes, by ${rules}'s way`, () =>
      scope(() => {
        const goals = maskGoals([positives(), positives()], 4, CONVENTIONS[rules]);
        assert.deepEqual(goals.shape, [4, 4, 4]);
        const [whole, half] = [goals.toNumbers().slice(0, 16), goals.toNumbers().slice(16, 32)];
        // The first box is the object, the second has it in its right half; cells at borders differ between the ways.
        assert.ok(
          [5, 6, 9, 10].every((cell) => whole[cell] === 1),
          whole.join(' '),
        );
        assert.ok(
          [4, 8].every((cell) => half[cell] === 0) && [6, 10].every((cell) => half[cell] === 1),
          half.join(' '),
        );
        assert.deepEqual(goals.toNumbers().slice(32), goals.toNumbers().slice(0, 32));
      }));
  }

  test('says what is missing in targets without masks or polygons', () =>
    scope(() => {
      const { boxes, labels } = target();
      const bare = { ...positives(), target: { boxes, labels } };
      assert.throws(() => maskGoals([bare], 4, CONVENTIONS.torchvision), /internal: .* came without masks/);
      assert.throws(() => maskGoals([bare], 4, CONVENTIONS.detectron), /internal: .* came without polygons/);
    }));
});

describe('MaskHead', () => {
  test('keeps the resolution and has no negative outputs, also of an empty batch', () =>
    scope(() => {
      const head = new MaskHead(6, { channels: [8, 5] });
      const hidden = head.call(randn([2, 6, 4, 4]));
      assert.deepEqual(hidden.shape, [2, 5, 4, 4]);
      assert.ok(hidden.toNumbers().every((value) => value >= 0));
      assert.deepEqual(head.call(randn([0, 6, 4, 4])).shape, [0, 5, 4, 4]);
    }));

  test("names its tensors as torchvision's", () => {
    assert.deepEqual(
      [...new MaskHead(6, { channels: [8, 5] }).stateDict().keys()],
      ['0.0.weight', '0.0.bias', '1.0.weight', '1.0.bias'],
    );
    assert.deepEqual(
      [...new MaskPredictor(6, 5, 4).stateDict().keys()],
      ['conv5_mask.weight', 'conv5_mask.bias', 'mask_fcn_logits.weight', 'mask_fcn_logits.bias'],
    );
  });
});

describe('maskLoss', () => {
  // An object that fills [8, 8, 24, 24] of a 32 x 32 image, stored as its own crop.
  const masks = () => ({
    pixels: tensor(new Uint8Array(16 * 16).fill(1)),
    crops: tensor(BigInt64Array.of(0n, 8n, 8n, 16n, 16n), { shape: [1, 5] }),
  });
  const sample = (box: readonly number[]) => ({
    proposals: tensor([...box], { shape: [1, 4] }),
    objects: int64([0]),
    masks: masks(),
    size: [32, 32] as const,
  });

  test('is log 2 for logits of 0', () =>
    scope(() => {
      assertClose([maskLoss(ops.zeros([1, 4, 4]), croppedMasks([sample([0, 0, 32, 32])], 4)).item()], [Math.LN2]);
    }));

  test('wants the part of the mask that lies in the proposal', () =>
    scope(() => {
      // The proposal's right half covers the object's left half. At logit 0 the gradient is (1/2 - target) / 16 cells.
      const logits = ops.zeros([1, 4, 4]);
      logits.requiresGrad = true;
      maskLoss(logits, croppedMasks([sample([0, 8, 16, 24])], 4)).backward();
      const targets = logits.grad!.toNumbers().map((gradient) => 0.5 - 16 * gradient);
      // Legacy RoIAlign, as torchvision's: 4 samples a cell without a half-pixel shift, so that at the borders one of 4
      // lies half way to the next pixel: 1/8 before the object's left side, 7/8 at its lower side.
      const row = [0, 1 / 8, 1, 1];
      assertClose(
        targets,
        [1, 1, 1, 7 / 8].flatMap((share) => row.map((cell) => cell * share)),
      );
    }));

  test('averages over the cells of all images', () =>
    scope(() => {
      const logits = ops.cat([ops.full([1, 4, 4], 20), ops.zeros([1, 4, 4])]);
      const loss = maskLoss(logits, croppedMasks([sample([10, 10, 20, 20]), sample([10, 10, 20, 20])], 4));
      assertClose([loss.item()], [Math.LN2 / 2]);
    }));

  test('is 0 without positives, and still gives gradients', () =>
    scope(() => {
      const logits = ops.zeros([0, 4, 4]);
      logits.requiresGrad = true;
      const loss = maskLoss(logits, ops.zeros([0, 4, 4]));
      loss.backward();
      assert.equal(loss.item(), 0);
      assert.deepEqual(logits.grad!.shape, [0, 4, 4]);
    }));
});
