export * from './boxes/index.js';
export * from './errors/index.js';
export * from './evaluation/index.js';
export * from './formats/index.js';
export * from './geometry/index.js';
export * from './keypoints/index.js';
export * from './masks/index.js';
export * from './random/index.js';
