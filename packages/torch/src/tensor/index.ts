import '../ops/methods.js';

export * from './autograd.js';
export type { ConversionTarget } from './convert.js';
export {
  arange,
  type CreateOptions,
  empty,
  full,
  type NestedNumbers,
  ones,
  rand,
  randint,
  randn,
  randperm,
  type TypedArray,
  tensor,
  tensorOver,
  zeros,
} from './create.js';
export * from './cuda-mode.js';
export * from './device.js';
export {
  callOp,
  callTensorOp,
  hasOperator,
  interceptOperators,
  type OpArgument,
  type OperatorInterceptor,
  type OpResult,
  operatorNames,
} from './dispatch.js';
export * from './dtype.js';
export { type HostMemory, hostMemory, keepFreedMemory, trimMemory } from './host-memory.js';
export * from './indexing.js';
export { liveTensors } from './lifetime.js';
export { EngineMissingError } from './native.js';
export { type MemoryShortage, memoryShortageOf } from './out-of-memory.js';
export * from './runtime.js';
export { keep, scope } from './scope.js';
export { type Device, type MemoryFormat, Tensor, type TensorArray } from './tensor.js';
export { type HostArray, type TransferOptions, toDeviceTogether, toHostTogether } from './transfer.js';
