export * from './mask-iou.js';
export * from './polygon-to-rle.js';
export * from './rle.js';
export * from './rle-encode.js';
export * from './rle-merge.js';
export * from './rle-string.js';
export * from './rle-to-bbox.js';
