// Puts the operators onto Tensor, and tells the compiler so: those whose first argument is `self`, and to(). Importing this
// file does it; tensor/index.ts does, so that whoever has the class from there has its operators too.
import { type ConversionTarget, convert } from '../tensor/convert.js';
import { Tensor } from '../tensor/tensor.js';
import { callOverloaded } from './dispatch-overloads.js';
import { METHOD_NAMES, type TensorMethods } from './generated.js';

declare module '../tensor/tensor.js' {
  interface Tensor extends TensorMethods {
    /** The same elements with another dtype or on another device; this tensor itself where nothing changes. */
    to(target: ConversionTarget): Tensor;
  }
}

for (const name of METHOD_NAMES) {
  put(name, function (this: Tensor, ...args: unknown[]): unknown {
    args.unshift(this);
    return callOverloaded(name, args);
  });
}
put('to', function (this: Tensor, target: ConversionTarget): Tensor {
  return convert(this, target);
});

function put(name: string, value: unknown): void {
  Object.defineProperty(value, 'name', { value: name });
  Object.defineProperty(Tensor.prototype, name, { value, writable: true, configurable: true });
}
