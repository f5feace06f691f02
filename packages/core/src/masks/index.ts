export { type BoxMaskOptions, boxMaskToRle } from './box-mask-to-rle.js';
export {
  type AxisTaps,
  type GridMaskOptions,
  type GridMaskPlace,
  gridMaskTaps,
  gridMaskToRle,
} from './grid-mask-to-rle.js';
export * from './mask-contours.js';
export { maskIou } from './mask-iou.js';
export { boxToRle, polygonsToRle, polygonToRle } from './polygon-to-rle.js';
export {
  type CompressedRle,
  type MaskSize,
  type Polygon,
  type Rle,
  rleArea,
  rleFromCounts,
} from './rle.js';
export { decodeMask, encodeMask } from './rle-encode.js';
export { mergeRles } from './rle-merge.js';
export { compressRle, decompressRle, rleFromString, rleToString } from './rle-string.js';
export { rleToBbox } from './rle-to-bbox.js';
