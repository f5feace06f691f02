// Errors about a person's input, as tests expect them: of that class, in one line.
import assert from 'node:assert/strict';
import { InputError } from '@goshawk/core';

/** For assert.throws and assert.rejects. */
export function inputError(message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof InputError, String(error));
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  };
}

/** The message of the error that `action` must end in. */
export function inputErrorOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.ok(inputError(/./)(error));
    return (error as InputError).message;
  }
  assert.fail('expected an InputError, got a result');
}
