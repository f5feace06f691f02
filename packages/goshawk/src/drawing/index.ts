export * from './label-text.js';
