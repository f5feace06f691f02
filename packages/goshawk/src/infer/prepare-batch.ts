// Decoded pictures as one padded batch: the values are core's, where pictures are prepared in a browser too.
export { batchLayout, type PreparedBatch } from '@goshawk/core';
export { prepareBatch } from '../data/pixels/index.js';
