// Sparse R-CNN R-50 with 100 proposals against the same network plainly in PyTorch (peers/sparse_rcnn.py):
//   node bench/dist/sparse-rcnn.js [options of compare-detector.ts]
import { compareDetector } from './compare-detector.js';

await compareDetector('sparse_rcnn', [
  { mode: 'train', size: [640, 640], images: 2, required: { fp32: 0.6, bf16: 0.6 } },
  { mode: 'predict', size: [640, 640], images: 1, required: { fp32: 0.6, bf16: 0.6 } },
]);
