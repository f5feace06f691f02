export * from './amp/index.js';
export * from './checkpoint/index.js';
export * from './libtorch/index.js';
export * from './nn/index.js';
export * from './ops/index.js';
export * from './optim/index.js';
export * from './tensor/index.js';
export * from './testing/index.js';
