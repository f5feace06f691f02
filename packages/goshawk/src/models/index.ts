export * from './build.js';
export * from './complexity.js';
export * from './detectors/rcnn.js';
export * from './structures.js';
