import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type PickleValue, readStateDict } from '@goshawk/torch';
import { savedTraining } from './saved-training.js';

// Two linear layers after three steps of PyTorch's SGD with a momentum of 0.9 and gradients of ones, every parameter a group of its own
// but for the last, which has no gradient: {model, optimizer, scheduler, iteration}, saved by torch 2.14.
const FILE = fileURLToPath(
  new URL('../../../src/foreign/maskrcnn-benchmark/fixtures/sgd-training.pth', import.meta.url),
);

test('a training is read as PyTorch saved it', () => {
  const file = readStateDict(FILE);
  try {
    assert.deepEqual([...file.tensors.keys()], ['a.weight', 'a.bias', 'b.weight', 'b.bias']);
    const saved = savedTraining(file.rest);
    assert.equal(saved?.iteration, 3);
    assert.equal(saved.learningRate, 0.02);
    assert.deepEqual(saved.steps, [10, 20]);
    const shapes = saved.velocities?.map((velocity) => velocity?.shape);
    assert.deepEqual(shapes, [[3, 2], [3], [1, 3], undefined]);
    const velocity = saved.velocities?.[1]?.materialize();
    const { buffer, byteOffset, byteLength } = velocity!.data as Uint8Array;
    // 1 + 0.9 + 0.81, in steps of a velocity that keeps nine tenths.
    for (const value of new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength)))
      assert.ok(Math.abs(value - 2.71) < 1e-6);
  } finally {
    file.close();
  }
});

test('weights alone are no training, nor is the state of another optimizer', () => {
  assert.equal(savedTraining(new Map()), undefined);
  const group = new Map<PickleValue, PickleValue>([
    ['params', [0]],
    ['betas', [0.9, 0.999]],
  ]);
  const adam = new Map<PickleValue, PickleValue>([
    ['state', new Map()],
    ['param_groups', [group]],
  ]);
  const saved = savedTraining(
    new Map<string, PickleValue>([
      ['iteration', 5],
      ['optimizer', adam],
    ]),
  );
  assert.deepEqual(saved, { iteration: 5 });
});
