// What is said to whoever still asks a detector that was released.
import { InputError } from '@goshawk/core';

export function releasedError(): InputError {
  return new InputError('usage', 'the detector: was released: create another one');
}
