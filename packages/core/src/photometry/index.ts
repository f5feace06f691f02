export * from './blend.js';
export * from './blur.js';
export * from './color.js';
export * from './hsv.js';
export * from './median.js';
export * from './noise.js';
