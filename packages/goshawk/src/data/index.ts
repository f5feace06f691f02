export * from './batch.js';
export * from './dataset.js';
export * from './decode-image.js';
export * from './loader.js';
export * from './samplers.js';
export * from './proposals-file.js';
