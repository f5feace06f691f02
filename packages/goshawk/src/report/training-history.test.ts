import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trainingHistory } from './training-history.js';

test('the lines of a training become its losses, measures and learning rate', () => {
  const history = trainingHistory([
    { iteration: 10, loss: 3, loss_box: 1, lr: 0.1, memory_bytes: 7 },
    { iteration: 20, loss: 'NaN', loss_box: 0.5, lr: 0.1 },
    { iteration: 20, 'bbox/AP': 0.5, 'bbox/AR100': 0.7, 'segm/AP': -1, 'bbox of night/AP': 0.25 },
  ]);
  assert.deepEqual(history, {
    losses: [
      { name: 'loss', points: [[10, 3]] },
      {
        name: 'loss_box',
        points: [
          [10, 1],
          [20, 0.5],
        ],
      },
    ],
    measures: [
      { name: 'bbox/AP', points: [[20, 0.5]] },
      { name: 'bbox of night/AP', points: [[20, 0.25]] },
    ],
    learningRate: [
      {
        name: 'lr',
        points: [
          [10, 0.1],
          [20, 0.1],
        ],
      },
    ],
  });
  assert.equal(trainingHistory([]), undefined);
});

test('a long training keeps its mean in fewer points', () => {
  const records = Array.from({ length: 8000 }, (_, i) => ({ iteration: i + 1, loss: i % 2 }));
  const [loss] = trainingHistory(records)!.losses;
  assert.ok(loss!.points.length <= 800 && loss!.points.length > 400);
  for (const [, value] of loss!.points) assert.ok(Math.abs(value - 0.5) < 1e-9);
  assert.equal(loss!.points.at(-1)![0], 8000);
});
