export { type CaptionOptions, drawCaption } from './caption.js';
export * from './draw-detections.js';
export { distinctColor, type RgbColor, readableOn } from './palette.js';
