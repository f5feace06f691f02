// Batches turned back into pictures and objects, for a person to look at.
import {
  boxXyxy,
  type Category,
  type DrawnItem,
  encodeMask,
  type MaskCrop,
  type Preprocess,
  type RgbImage,
  xyxyToXywh,
} from '@goshawk/core';
import type { Batch, Target } from './batch.js';

/** A batch's picture as bytes again, without what pads it to the size of the batch. */
export function pictureOfBatch(batch: Batch, place: number, { channels, mean, std, valueScale }: Preprocess): RgbImage {
  const { width, height } = batch.images[place]!;
  const data = new Uint8ClampedArray(width * height * 3);
  for (let y = 0, o = 0; y < height; y++) {
    const row = (place * batch.height + y) * batch.width * 3;
    for (let i = 0; i < width * 3; i++, o++) {
      const channel = i % 3;
      const from = channels === 'rgb' ? i : i - channel + 2 - channel;
      const place = channels === 'rgb' ? channel : 2 - channel;
      data[o] = (batch.pixels[row + from]! * std[place]! + mean[place]!) / valueScale;
    }
  }
  return { width, height, data: new Uint8Array(data.buffer) };
}

/** What the network learns from, to be drawn on such a picture. @param size of the picture without what pads it */
export function itemsOfTarget(
  { boxes, classes, masks, polygons, keypoints }: Target,
  categories: readonly Category[],
  size: { readonly width: number; readonly height: number },
): DrawnItem[] {
  const points = keypoints === undefined ? 0 : keypoints.length / classes.length;
  return Array.from(classes, (objectClass, i): DrawnItem => {
    const [x1, y1, x2, y2] = boxes.subarray(i * 4, i * 4 + 4);
    const mask = masks?.[i];
    const outlines = polygons?.[i];
    return {
      categoryId: categories[objectClass - 1]!.id,
      bbox: xyxyToXywh(boxXyxy(x1!, y1!, x2!, y2!)),
      ...(mask && { segmentation: { kind: 'rle', rle: encodeMask(wholeMask(mask, size), [size.height, size.width]) } }),
      ...(outlines && { segmentation: { kind: 'polygons', polygons: outlines.map((outline) => [...outline]) } }),
      ...(keypoints && { keypoints: [...keypoints.subarray(i * points, (i + 1) * points)] }),
    };
  });
}

function wholeMask(mask: MaskCrop, { width, height }: { readonly width: number; readonly height: number }): Uint8Array {
  const whole = new Uint8Array(width * height);
  for (let y = 0; y < mask.height; y++) {
    const row = mask.data.subarray(y * mask.width, (y + 1) * mask.width);
    whole.set(row, (mask.y + y) * width + mask.x);
  }
  return whole;
}
