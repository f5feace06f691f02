// Valid configs do not fail in the engine; scripts/config-fuzz.mjs draws more of them.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { setThreads } from '@goshawk/torch';
import { failures } from '../testing/random-models.js';

before(() => setThreads(1));

test('random models of every kind learn from a picture and predict', () => {
  for (const { seed, model, error } of failures(0, 25)) {
    assert.fail(`seed ${seed}: ${error.stack}\n${JSON.stringify(model)}`);
  }
});
