import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cudaMode, setExactConvolutions } from '@goshawk/torch';
import { runtimeSchema } from '../config/train-schema.js';
import { applyRuntime, cudaModeOf, type RunPurpose } from './apply-runtime.js';

const long: RunPurpose = { kind: 'training', iterations: 1000 };
const short: RunPurpose = { kind: 'training', iterations: 999 };
const prediction: RunPurpose = { kind: 'prediction' };
const modeOf = (keys: object, purpose: RunPurpose) => cudaModeOf(runtimeSchema.parse(keys), purpose);

test('without keys a card computes as PyTorch does, and tunes where a size comes again often enough', () => {
  assert.deepEqual(modeOf({}, prediction), { deterministic: false, tf32: 'convolutions', autotune: false });
  assert.deepEqual(
    [long, short, prediction].map((purpose) => modeOf({}, purpose).autotune),
    [true, false, false],
  );
});

test('what is asked for holds for every purpose, but nothing is measured where runs must repeat', () => {
  for (const purpose of [long, short, prediction]) {
    assert.equal(modeOf({ autotune: 'on' }, purpose).autotune, true);
    assert.equal(modeOf({ autotune: 'off' }, purpose).autotune, false);
    assert.deepEqual(modeOf({ autotune: 'on', deterministic: true, tf32: 'none' }, purpose), {
      deterministic: true,
      tf32: 'none',
      autotune: false,
    });
  }
});

test('on the CPU nothing of it is set', () => {
  const before = cudaMode();
  applyRuntime(runtimeSchema.parse({ deterministic: true, tf32: 'all', autotune: 'on' }), long);
  assert.deepEqual(cudaMode(), before);
});

test('exact convolutions are asked for by a run and end with it', () => {
  applyRuntime(runtimeSchema.parse({ exact: true }), prediction);
  assert.equal(setExactConvolutions(true), true);
  applyRuntime(runtimeSchema.parse({}), prediction);
  assert.equal(setExactConvolutions(false), false);
});
