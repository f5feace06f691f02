import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import type { TensorData } from '@goshawk/torch';
import { fitState } from './fit-state.js';
import { recogniseState } from './weights.js';

const tensor = (...values: number[]): TensorData => ({
  dtype: 'float32',
  shape: [values.length],
  data: new Uint8Array(Float32Array.from(values).buffer),
});
const values = (data: TensorData | undefined): number[] => [...new Float32Array(data!.data.buffer)];
const named = (...names: string[]): Map<string, TensorData> => new Map(names.map((name, i) => [name, tensor(i)]));

describe('fitState', () => {
  const bare = new Map([
    ['conv1.weight', tensor(1)],
    ['layer1.0.conv1.weight', tensor(2)],
    ['bn1.weight', tensor(2, 3)],
    ['bn1.bias', tensor(0.5, -1)],
    ['bn1.running_mean', tensor(4, 0)],
    ['bn1.running_var', tensor(3.99999, 8.99999)],
    ['bn1.num_batches_tracked', tensor(7)],
    ['fc.weight', tensor(9)],
  ]);

  test('folds batch norm into a factor and an offset', () => {
    const { state, norm } = recogniseState(bare);
    const expected = new Set(['backbone.body.conv1.weight', 'backbone.body.bn1.weight', 'backbone.body.bn1.bias']);
    const fitted = fitState(state, { expected, modelNorm: 'affine', stateNorm: norm, path: 'r50.pth' });
    assert.equal(fitted.has('backbone.body.bn1.running_var'), false);
    // 2 / sqrt(3.99999 + 1e-5) = 1, 3 / sqrt(9) = 1; offsets 0.5 - 4 * 1 and -1.
    const close = (got: number[], want: number[]): void => {
      for (const [i, value] of got.entries()) assert.ok(Math.abs(value - want[i]!) < 1e-6, `${got}`);
    };
    close(values(fitted.get('backbone.body.bn1.weight') as TensorData), [1, 1]);
    close(values(fitted.get('backbone.body.bn1.bias') as TensorData), [-3.5, -1]);
  });

  test('leaves batch norm to a model that has it', () => {
    const { state, norm } = recogniseState(bare);
    const expected = new Set(state.keys());
    assert.deepEqual(fitState(state, { expected, modelNorm: 'batch', stateNorm: norm, path: 'r50.pth' }), state);
  });

  test('refuses another kind of norm', () => {
    const { state, norm } = recogniseState(bare);
    assert.throws(
      () => fitState(state, { expected: new Set(state.keys()), modelNorm: 'group', stateNorm: norm, path: 'r50.pth' }),
      (error) =>
        error instanceof InputError &&
        error.message ===
          'r50.pth: its backbone has batch norm or its factors, the model group norm: take a file of the same kind, such as R-50-GN.pkl',
    );
  });

  test('gives stage 5 to the heads of a C4 model', () => {
    const state = named('backbone.body.conv1.weight', 'backbone.body.layer4.0.conv1.weight');
    const box = 'roi_heads.box_head.layer4.0.conv1.weight';
    const mask = 'roi_heads.mask_head.layer4.0.conv1.weight';
    const fit = (...expected: string[]) => [...fitState(state, { expected: new Set(expected), path: 'x' }).keys()];
    assert.deepEqual(fit('backbone.body.conv1.weight', box), ['backbone.body.conv1.weight', box]);
    assert.deepEqual(fit('backbone.body.conv1.weight', box, mask), ['backbone.body.conv1.weight', box, mask]);
    assert.deepEqual(fit(...state.keys()), [...state.keys()]);
  });

  test('drops the second name of a stage 5 that two heads share', () => {
    const box = 'roi_heads.box_head.layer4.0.conv1.weight';
    const state = named(box, 'roi_heads.mask_head.layer4.0.conv1.weight');
    assert.deepEqual([...fitState(state, { expected: new Set([box]), path: 'x' }).keys()], [box]);
  });

  test('drops the levels that a model of the finest one does not have', () => {
    const finest = 'backbone.fpn.layer_blocks.0.0.weight';
    const state = named(finest, 'backbone.fpn.layer_blocks.1.0.weight', 'backbone.fpn.layer_blocks.3.0.bias');
    assert.deepEqual([...fitState(state, { expected: new Set([finest]), path: 'x' }).keys()], [finest]);
  });
});
