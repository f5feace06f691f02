// The steps that leave objects where they are.
import { type PixelWindow, pasteImage, type RgbImage } from '@goshawk/core';
import { addNoise, blurImage, changeColor, filledImage, recycle, scaleHsv } from '../pixels/index.js';
import type { PlannedColors } from './planned-picture.js';

/** The step on a region of the picture, in the picture's own memory; what lies outside is left as it is. */
export function changeColorsIn(image: RgbImage, step: PlannedColors, region: PixelWindow): RgbImage {
  const { x, y, width, height } = region;
  if (width === 0 || height === 0) return image;
  if (width === image.width && height === image.height) return changeColors(image, step);
  const part = filledImage(width, height, [0, 0, 0]);
  pasteImage(part, image, -x, -y);
  const changed = changeColors(part, step);
  pasteImage(image, changed, x, y);
  recycle(part);
  recycle(changed);
  return image;
}

/** The step on the whole picture, in its own memory or in new one. */
export function changeColors(image: RgbImage, step: PlannedColors): RgbImage {
  switch (step.kind) {
    case 'hsv':
      return scaleHsv(image, step.gains);
    case 'color':
      return step.changes.reduce((changed, { change, factor }) => changeColor(changed, change, factor), image);
    case 'blur':
      return blurImage(image, step.filter, step.side);
    case 'noise':
      return addNoise(image, step.sigma, step.seed);
  }
}
