// RetinaNet R-50-FPN against torchvision's: node bench/dist/retinanet.js [options of compare-detector.ts]
import { compareDetector } from './compare-detector.js';

await compareDetector('retinanet', [
  { mode: 'train', size: [512, 512], images: 2, required: { fp32: 0.6, bf16: 0.6 } },
  { mode: 'predict', size: [800, 1066], images: 1, required: { fp32: 0.65, bf16: 0.8 } },
]);
