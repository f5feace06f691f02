// Errors about a person's input, as tests expect them: of that class, in one line.
import assert from 'node:assert/strict';
import { InputError } from '../errors/index.js';

/** The error that `action` must end in. */
export function inputErrorOf(action: () => unknown): InputError {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof InputError, `expected an InputError, got ${String(error)}`);
    assert.doesNotMatch(error.message, /\n/);
    return error;
  }
  assert.fail('expected an InputError, got a result');
}
