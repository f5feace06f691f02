export * from './box-overlap.js';
export { depthwiseConv } from './depthwise-conv.js';
export * from './focal-loss.js';
export * from './linear-assignment.js';
export * from './masks.js';
export * from './nms.js';
export { type BatchNormTensors, batchNormTraining, groupNorm } from './norms.js';
export * from './roi-align.js';
export * from './roi-pool.js';
export {
  allowWinograd,
  setExactConvolutions,
  winogradConv3x3,
  winogradConvByKernels,
  winogradConvInto,
  winogradKernels,
} from './winograd-conv.js';
