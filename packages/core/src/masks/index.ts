export * from './rle.js';
