export * from './cuda-architectures.js';
export * from './discover.js';
