// Decoded pictures as one padded batch, as the loader's workers make it for training.
import type { RgbImage } from './image.js';
import {
  fillPadding,
  type Preprocess,
  paddedBatchSize,
  padValuesOf,
  placeInFrame,
  prepareImage,
  type Resizer,
} from './prepare-image.js';
import { networkSize, type PictureFrame, seenSize } from './size-rules.js';

export interface PreparedBatch {
  /** N x height x width x 3. */
  readonly pixels: Float32Array;
  readonly height: number;
  readonly width: number;
  /** Each picture's size as the network sees it, without padding, and its own. */
  readonly images: readonly {
    readonly width: number;
    readonly height: number;
    readonly originalWidth: number;
    readonly originalHeight: number;
    /** Network pixels an image pixel. */
    readonly scaleX: number;
    readonly scaleY: number;
    /** Absent: the picture lies at the first pixel. */
    readonly frame?: PictureFrame;
  }[];
}

/**
 * @param memory to write into, as long as the pixels or longer; default new
 * @param resizer another way to the same values, see {@link prepareImage}
 */
export function prepareBatch(
  images: readonly RgbImage[],
  preprocess: Preprocess,
  memory?: Float32Array,
  resizer?: Resizer,
): PreparedBatch {
  const { sizes, width, height, images: described } = batchLayout(images, preprocess);
  const values = images.length * height * width * 3;
  const pixels = memory ? memory.subarray(0, values) : new Float32Array(values);
  images.forEach((image, index) => {
    const into = { data: pixels, offset: index * height * width * 3, rowStride: width * 3 };
    const size = sizes[index]!;
    prepareImage(image, preprocess, { into: placeInFrame(into, size.frame), size, ...(resizer && { resizer }) });
    fillPadding(into, size, height, padValuesOf(preprocess));
  });
  return { pixels, height, width, images: described };
}

/** How pictures lie in a batch: each one's size in the network, and that of all with their padding. */
export function batchLayout(images: readonly Pick<RgbImage, 'width' | 'height'>[], preprocess: Preprocess) {
  const sizes = images.map((image) =>
    networkSize(image.width, image.height, preprocess.resize.rule, preprocess.resize),
  );
  const described: PreparedBatch['images'] = images.map((image, index) => {
    const size = sizes[index]!;
    return {
      width: seenSize(size).width,
      height: seenSize(size).height,
      originalWidth: image.width,
      originalHeight: image.height,
      scaleX: size.scaleX,
      scaleY: size.scaleY,
      ...(size.frame && { frame: size.frame }),
    };
  });
  return { sizes, images: described, ...paddedBatchSize(sizes.map(seenSize), preprocess.padMultiple) };
}
