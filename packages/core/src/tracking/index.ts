export { assignWithin } from './assignment.js';
export * from './byte-tracker.js';
