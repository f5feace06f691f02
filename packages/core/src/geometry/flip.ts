// Mirroring pictures and polygons left to right. (Boxes: boxes/transform-box.ts; keypoints: keypoints/flip-keypoints.ts;
// masks are mirrored while they are resized: mask-crop.ts.)
import type { RgbImage } from './image.js';

export interface FlipOptions {
  /** x becomes width - 1 - x (Detectron, mmdetection 1.x): coordinates name pixel centres. Default false: width - x. */
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

/** A copy, mirrored as asked; the picture itself where nothing is. */
export function mirrorImage(
  image: RgbImage,
  { horizontally, vertically }: { readonly horizontally: boolean; readonly vertically: boolean },
): RgbImage {
  if (!horizontally && !vertically) return image;
  const { width, height } = image;
  const mirrored = { width, height, data: new Uint8Array(image.data.length) };
  const stride = width * 3;
  for (let y = 0; y < height; y++) {
    const from = (vertically ? height - 1 - y : y) * stride;
    mirrored.data.set(image.data.subarray(from, from + stride), y * stride);
  }
  if (horizontally) flipImageInPlace(mirrored);
  return mirrored;
}

/** The mirrored polygon `[x0, y0, x1, y1, ...]`, its points in the same order. */
export function flipPolygon(polygon: readonly number[], width: number, options: FlipOptions = {}): number[] {
  const mirror = options.pixelCentres ? width - 1 : width;
  return polygon.map((value, i) => (i % 2 === 0 ? mirror - value : value));
}
