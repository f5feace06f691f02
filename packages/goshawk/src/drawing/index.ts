export { type AxisRange, type Curve, type CurvesOptions, drawCurves } from './draw-curves.js';
export { nodeCanvas } from './node-canvas.js';
export { unreadableNames, unreadableNotice } from './unreadable-names.js';
