export * from './random.js';
export * from './random-beta.js';
