export * from './operations.js';
export * from './prepare.js';
