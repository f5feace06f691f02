// The steps that make one picture of several.
import { pasteImage, type RgbImage, translation } from '@goshawk/core';
import { blendImages, filledImage } from '../pixels/index.js';
import { type AnnotatedPicture, moveObjects, type PointConventions } from './annotated-picture.js';
import { cornerOf, type PlannedMixup, type PlannedMosaic } from './planned-picture.js';

/**
 * Four pictures about a point: each touches it with the corner that is turned to it, and is cut off at the border (Bochkovskiy
 * et al., "YOLOv4", 2020).
 * @param pictures upper left, upper right, lower left, lower right
 */
export function mosaicOf(
  pictures: readonly AnnotatedPicture[],
  mosaic: PlannedMosaic,
  conventions: PointConventions,
): AnnotatedPicture {
  const { width, height, fill, kept } = mosaic;
  const canvas = filledImage(width, height, fill);
  const objects = pictures.flatMap(({ image, objects: own }, place) => {
    const { x, y } = cornerOf(mosaic, place, image);
    pasteImage(canvas, image, x, y);
    return moveObjects(own, translation(x, y), mosaic, conventions, kept);
  });
  return { image: canvas, objects };
}

/**
 * Both pictures, from the upper left corner on, shine through one another; the objects of both are there and count in full
 * (Zhang et al., "Bag of Freebies for Training Object Detection Neural Networks", 2019).
 */
export function mixupOf(first: AnnotatedPicture, second: AnnotatedPicture, mixup: PlannedMixup): AnnotatedPicture {
  const onCanvas = (image: RgbImage): RgbImage => {
    if (image.width === mixup.width && image.height === mixup.height) return image;
    const canvas = filledImage(mixup.width, mixup.height, mixup.fill);
    pasteImage(canvas, image, 0, 0);
    return canvas;
  };
  return {
    image: blendImages(onCanvas(first.image), onCanvas(second.image), mixup.share),
    objects: [...first.objects, ...second.objects],
  };
}
