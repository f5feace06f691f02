export type { Canvas2D, CanvasPixels, DrawingCanvas, LabelFont } from './canvas-2d.js';
export { type CaptionOptions, drawCaption } from './caption.js';
export {
  type DrawnItem,
  type DrawStyle,
  detectionInstructions,
  type InstructionOptions,
} from './detection-instructions.js';
export * from './draw-detections.js';
export * from './instructions.js';
export { paintInstructions } from './paint-instructions.js';
export { distinctColor, type RgbColor, readableOn } from './palette.js';
export { canvasMeasure, type TextMeasure } from './text-measure.js';
