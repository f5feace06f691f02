export * from './cuda-architectures.js';
export * from './discover.js';
export * from './load-ahead.js';
export { namedCapability } from './processor.js';
