import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, scope, tensor } from '@goshawk/torch';
import { binaryCrossEntropyMean, crossEntropyMean, smoothL1Sum, zeroLoss } from './losses.js';

describe('smoothL1Sum', () => {
  test('is quadratic below beta and linear from there on', () =>
    scope(() => {
      const prediction = [0, 0.05, 0.2, -1, 3];
      const beta = 1 / 9;
      const each = prediction.map((d) => (Math.abs(d) < beta ? d ** 2 / (2 * beta) : Math.abs(d) - beta / 2));
      const loss = smoothL1Sum(tensor(prediction), tensor([0, 0, 0, 0, 0]), beta);
      assertClose([loss.item()], [each.reduce((sum, value) => sum + value)]);
    }));

  test('has gradients of at most 1', () =>
    scope(() => {
      const prediction = tensor([0.05, -2, 9]);
      prediction.requiresGrad = true;
      smoothL1Sum(prediction, tensor([0, 0, 0]), 1 / 9).backward();
      assertClose(prediction.grad!, [0.45, -1, 1]);
    }));
});

describe('binaryCrossEntropyMean', () => {
  test('is the mean of -log of the probability of what is true', () =>
    scope(() => {
      const logits = [-2, 0, 3, 1.5];
      const targets = [0, 1, 1, 0];
      const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
      const each = logits.map((x, i) => -Math.log(targets[i] === 1 ? sigmoid(x) : 1 - sigmoid(x)));
      const loss = binaryCrossEntropyMean(tensor(logits), tensor(targets));
      assertClose([loss.item()], [each.reduce((sum, value) => sum + value) / 4]);
    }));

  test('stays finite for sure and wrong logits', () =>
    scope(() => {
      assertClose([binaryCrossEntropyMean(tensor([1000, -1000]), tensor([0, 1])).item()], [1000]);
    }));
});

describe('crossEntropyMean', () => {
  test('is the mean of -log of the softmax of the class', () =>
    scope(() => {
      const rows = [
        [1, 2, 0.5],
        [-1, 0, 4],
      ];
      const classes = [1, 0];
      const each = rows.map((row, i) => {
        const total = row.reduce((sum, value) => sum + Math.exp(value), 0);
        return -Math.log(Math.exp(row[classes[i]!]!) / total);
      });
      const loss = crossEntropyMean(tensor(rows), tensor(BigInt64Array.of(1n, 0n)));
      assertClose([loss.item()], [(each[0]! + each[1]!) / 2]);
    }));
});

describe('the losses of nothing', () => {
  test('are 0 and give gradients of 0', () =>
    scope(() => {
      const none = tensor([], { shape: [0, 3] });
      none.requiresGrad = true;
      const losses = [
        smoothL1Sum(none, tensor([], { shape: [0, 3] }), 1),
        binaryCrossEntropyMean(none, tensor([], { shape: [0, 3] })),
        crossEntropyMean(none, tensor(new BigInt64Array(0))),
      ];
      for (const loss of losses) {
        assert.equal(loss.item(), 0);
        loss.backward();
      }
      assert.deepEqual(none.grad?.shape, [0, 3]);
    }));

  test('zeroLoss keeps its tensor in the graph', () =>
    scope(() => {
      const logits = tensor([1, 2, 3]);
      logits.requiresGrad = true;
      const loss = zeroLoss(logits);
      loss.backward();
      assert.deepEqual([loss.item(), ...logits.grad!.toNumbers()], [0, 0, 0, 0]);
    }));
});
