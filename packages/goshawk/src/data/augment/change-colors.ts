// The steps that leave objects where they are.
import { addNoise, blurImage, changeColor, medianImage, type RgbImage, scaleHsv } from '@goshawk/core';
import type { PlannedColors } from './planned-picture.js';

export function changeColors(image: RgbImage, step: PlannedColors): RgbImage {
  switch (step.kind) {
    case 'hsv':
      return scaleHsv(image, step.gains);
    case 'color':
      return step.changes.reduce((changed, { change, factor }) => changeColor(changed, change, factor), image);
    case 'blur':
      return step.filter === 'median' ? medianImage(image, step.side) : blurImage(image, step.filter, step.side);
    case 'noise':
      return addNoise(image, step.sigma, step.seed);
  }
}
