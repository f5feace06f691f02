// Mirroring left and right: pictures, boxes, polygons, keypoints. Coordinates are continuous (x becomes width - x); the
// systems with the legacy +1 boxes mirror x to width - 1 - x, which is `pixelCentres`.
import type { RgbImage } from './image.js';

export interface FlipOptions {
  /** Mirror x to width - 1 - x (Detectron, mmdetection 1.x): coordinates name pixel centres. Default false. */
  readonly pixelCentres?: boolean;
}

/** Mirrors the picture in its own memory. */
export function flipImageInPlace(image: RgbImage): void {
  const { data, width, height } = image;
  for (let y = 0; y < height; y++) {
    let l = y * width * 3;
    let r = l + (width - 1) * 3;
    for (; l < r; l += 3, r -= 3) {
      for (let c = 0; c < 3; c++) {
        const kept = data[l + c]!;
        data[l + c] = data[r + c]!;
        data[r + c] = kept;
      }
    }
  }
}

/** Mirrors `[x1, y1, x2, y2, ...]` in place, in a picture `width` pixels wide. */
export function flipBoxesInPlace(boxes: Float32Array, width: number, options: FlipOptions = {}): void {
  const mirror = options.pixelCentres ? width - 1 : width;
  for (let i = 0; i < boxes.length; i += 4) {
    const x1 = boxes[i]!;
    boxes[i] = mirror - boxes[i + 2]!;
    boxes[i + 2] = mirror - x1;
  }
}

/** The mirrored polygon `[x0, y0, x1, y1, ...]`, its points in the same order. */
export function flipPolygon(polygon: readonly number[], width: number, options: FlipOptions = {}): number[] {
  const mirror = options.pixelCentres ? width - 1 : width;
  return polygon.map((value, i) => (i % 2 === 0 ? mirror - value : value));
}

/**
 * Mirrors `[x, y, v, ...]` of one person or of many (K points each) in place; a point without a label (v = 0) stays at
 * (0, 0). `flipPairs` are the 0-based points that change sides (left eye, right eye).
 */
export function flipKeypointsInPlace(
  keypoints: Float32Array,
  count: number,
  width: number,
  flipPairs: readonly (readonly [number, number])[],
  options: FlipOptions = {},
): void {
  const mirror = options.pixelCentres ? width - 1 : width;
  for (let i = 0; i < keypoints.length; i += 3) {
    if (keypoints[i + 2] !== 0) keypoints[i] = mirror - keypoints[i]!;
  }
  for (let base = 0; base < keypoints.length; base += count * 3) {
    for (const [left, right] of flipPairs) {
      for (let c = 0; c < 3; c++) {
        const kept = keypoints[base + left * 3 + c]!;
        keypoints[base + left * 3 + c] = keypoints[base + right * 3 + c]!;
        keypoints[base + right * 3 + c] = kept;
      }
    }
  }
}
