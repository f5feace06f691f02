// Decoded pictures as one padded batch, as the loader's workers make it for training.
import { fillPadding, networkSize, type Preprocess, paddedBatchSize, prepareImage, type RgbImage } from '@goshawk/core';

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
  }[];
}

export function prepareBatch(images: readonly RgbImage[], preprocess: Preprocess): PreparedBatch {
  const sizes = images.map((image) =>
    networkSize(image.width, image.height, preprocess.resize.rule, preprocess.resize),
  );
  const { width, height } = paddedBatchSize(sizes, preprocess.padMultiple);
  const pixels = new Float32Array(images.length * height * width * 3);
  images.forEach((image, index) => {
    const into = { data: pixels, offset: index * height * width * 3, rowStride: width * 3 };
    prepareImage(image, preprocess, { into, size: sizes[index]! });
    fillPadding(into, sizes[index]!, height, preprocess.padValue);
  });
  return {
    pixels,
    height,
    width,
    images: images.map((image, index) => ({
      width: sizes[index]!.width,
      height: sizes[index]!.height,
      originalWidth: image.width,
      originalHeight: image.height,
      scaleX: sizes[index]!.scaleX,
      scaleY: sizes[index]!.scaleY,
    })),
  };
}
