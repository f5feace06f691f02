import '../ops/methods.js';

export * from './autograd.js';
export type { ConversionTarget } from './convert.js';
export * from './create.js';
export * from './device.js';
export {
  callOp,
  callTensorOp,
  interceptOperators,
  type OpArgument,
  type OperatorInterceptor,
  type OpResult,
  operatorNames,
} from './dispatch.js';
export * from './dtype.js';
export * from './indexing.js';
export { liveTensors } from './lifetime.js';
export { EngineMissingError } from './native.js';
export * from './runtime.js';
export { keep, scope } from './scope.js';
export { type Device, type MemoryFormat, Tensor, type TensorArray } from './tensor.js';
