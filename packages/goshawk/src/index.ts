export * from './config/index.js';
export * from './data/index.js';
export * from './infer/index.js';
export * from './models/index.js';
export * from './train/index.js';
