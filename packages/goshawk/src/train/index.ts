export * from './checkpoint.js';
export * from './run-log.js';
export * from './trainer.js';
export * from './training-step.js';
