export * from './bitmap-masks.js';
export * from './box-list.js';
export { type CropWindow, cropWindow } from './crop-window.js';
export type { BoxField, FlipDirection, PlacedField } from './per-box-field.js';
export * from './polygon-masks.js';
