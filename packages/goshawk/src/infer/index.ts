export * from './detector-file.js';
export * from './evaluate-detector.js';
export * from './find-images.js';
export * from './network-batch.js';
export * from './open-detector.js';
export * from './post-process.js';
export * from './predictor.js';
export * from './prepare-batch.js';
