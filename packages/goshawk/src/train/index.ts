export { RunFailure } from '../files/run-failure.js';
export * from './checkpoint.js';
export * from './evaluate-samples.js';
export { type RandomSource, randomSourcesOf } from './random-sources.js';
export * from './trainer.js';
export { openSplit } from './training-data.js';
export * from './training-step.js';
