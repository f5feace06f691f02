// Decoded pictures as one padded batch: core's, where pictures are prepared in a browser too.
export { batchLayout, type PreparedBatch, prepareBatch } from '@goshawk/core';
