export { type CaptionOptions, drawCaption } from './caption.js';
export { type AxisRange, type Curve, type CurvesOptions, drawCurves } from './draw-curves.js';
export * from './draw-detections.js';
export { distinctColor, type RgbColor, readableOn } from './palette.js';
export {
  type CanvasTextOptions,
  canvasText,
  type TextContext,
  type TextLine,
  type TextRenderer,
} from './text-renderer.js';
