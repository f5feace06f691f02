export * from './cuda-architectures.js';
export * from './discover.js';
export { namedCapability } from './processor.js';
