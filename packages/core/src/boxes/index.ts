export * from './box.js';
export * from './box-iou-matrix.js';
export * from './measure-box.js';
export * from './transform-box.js';
