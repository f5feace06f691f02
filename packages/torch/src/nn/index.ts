export * from './activation.js';
export { Conv2d, type ConvOptions, ConvTranspose2d, type ConvTransposeOptions, type Pair } from './conv.js';
export * as init from './init.js';
export * from './linear.js';
export * from './module.js';
export { BatchNorm2d, FrozenBatchNorm2d, GroupNorm, LayerNorm } from './norm.js';
export { Buffer, Parameter, type Placement, StateTensor, type TensorData } from './parameter.js';
export * from './pooling.js';
export * from './sequential.js';
