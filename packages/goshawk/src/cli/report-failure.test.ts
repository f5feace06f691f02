import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asRunFailure } from '../files/run-failure.js';
import { OutOfMemoryError } from '../infer/engine-errors.js';
import { reportFailure } from './report-failure.js';

test('memory that is out ends a command with its line and exit code 1, and with what is kept', () => {
  const error = new OutOfMemoryError('the memory of card 0 is out: lower train.batchSize');
  assert.deepEqual(reportFailure(error, { debug: false }), { message: `goshawk: ${error.message}`, exitCode: 1 });
  const kept = asRunFailure(error, 'iteration 7 is saved');
  assert.deepEqual(reportFailure(kept, { debug: false }), {
    message: 'goshawk: the memory of card 0 is out: lower train.batchSize; iteration 7 is saved',
    exitCode: 1,
  });
});
