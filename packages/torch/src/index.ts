export * from './libtorch/index.js';
export * from './tensor/index.js';
