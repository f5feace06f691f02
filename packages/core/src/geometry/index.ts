export * from './flip.js';
export * from './image.js';
export * from './mask-crop.js';
export * from './prepare-image.js';
export * from './resize-opencv.js';
export * from './resize-pil.js';
export * from './resize-torch.js';
export * from './size-rules.js';
