// Mask R-CNN Res2Net-50-FPN (26w x 4s) against the same model written plainly in PyTorch, with torchvision's pyramid and heads:
// node bench/dist/res2net.js [options of compare-detector.ts]
import { compareDetector } from './compare-detector.js';

await compareDetector('res2net_mask_rcnn', [
  { mode: 'train', size: [512, 512], images: 2, required: { fp32: 0.6, bf16: 0.6 } },
  { mode: 'predict', size: [800, 1066], images: 1, required: { fp32: 0.6, bf16: 0.6 } },
]);
