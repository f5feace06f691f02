export { type CaptionOptions, drawCaption } from './caption.js';
export { type AxisRange, type Curve, type CurvesOptions, drawCurves } from './draw-curves.js';
export * from './draw-detections.js';
export { distinctColor, type RgbColor, readableOn } from './palette.js';
