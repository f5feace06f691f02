// Pictures as a network reads them, by the compiled kernels where they are there: the values are core's.
import {
  type PreparedBatch,
  type Preprocess,
  prepareBatch as prepareBatchBy,
  type Resizer,
  type RgbImage,
  resizeNormalised,
} from '@goshawk/core';
import { pixelAddon } from '@goshawk/torch/pixels';

/** Before set-up has built the addon, commands that need no engine go by core's own functions. */
export const fastResizer: Resizer = pixelAddon()?.resizeInto ?? resizeNormalised;

/** @param memory to write into, as long as the pixels or longer; default new */
export function prepareBatch(
  images: readonly RgbImage[],
  preprocess: Preprocess,
  memory?: Float32Array,
): PreparedBatch {
  return prepareBatchBy(images, preprocess, memory, fastResizer);
}
