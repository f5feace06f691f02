export * from './annotation-files.js';
export * from './batch.js';
export * from './dataset.js';
export * from './decode-image.js';
export * from './loader.js';
export * from './open-split-dataset.js';
export type { Augment, Jitter } from './plan-image.js';
export * from './proposals-file.js';
export * from './samplers.js';
