export * from './coco.js';
export * from './coco-categories.js';
export * from './coco-results.js';
export { type DataIssue, type DataIssueCode, DataIssueList } from './data-issue.js';
export * from './dataset.js';
export * from './format-coco.js';
export * from './image-path.js';
export * from './segmentation-from-mask.js';
