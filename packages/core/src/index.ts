export * from './boxes/index.js';
export * from './errors/index.js';
export * from './formats/index.js';
export * from './masks/index.js';
