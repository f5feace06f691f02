export { flushFolder, removeTemporaryFiles, writeFileAtomically } from './atomic-file.js';
export { CheckpointError, type CheckpointErrorCode } from './checkpoint-error.js';
export { isOnnxFile } from './onnx-file.js';
export { NumpyArray, OpaqueObject, PickleGlobal, type PickleValue } from './pickle-values.js';
export { PickledBytes } from './pickled-bytes.js';
export { PickledStorage, PickledTensor } from './pickled-tensor.js';
export { type Checkpoint, type CheckpointFormat, readCheckpoint } from './pth.js';
export { type PthValue, writePth } from './pth-write.js';
export { openSafetensors, type SafetensorsEntry, type SafetensorsFile, writeSafetensors } from './safetensors.js';
export {
  asTensor,
  type FindStateDictOptions,
  findStateDict,
  readStateDict,
  type StateDict,
  type StateDictFile,
} from './state-dict.js';
export type { LazyTensor, TensorData } from './tensor-data.js';
