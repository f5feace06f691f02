// Puts the operators whose first argument is `self` onto Tensor. Importing this file does it.
import { Tensor } from '../tensor/tensor.js';
import { callOverloaded } from './dispatch-overloads.js';
import { METHOD_NAMES } from './generated.js';

for (const name of METHOD_NAMES) {
  const value = function (this: Tensor, ...args: unknown[]): unknown {
    args.unshift(this);
    return callOverloaded(name, args);
  };
  Object.defineProperty(value, 'name', { value: name });
  Object.defineProperty(Tensor.prototype, name, { value, writable: true, configurable: true });
}
