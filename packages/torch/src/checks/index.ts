export { assertClose, type Tolerance } from './assert-close.js';
export { gradientCheck } from './gradient-check.js';
