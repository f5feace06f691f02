// The steps that move one picture: by a map of the plane, or to another size.
import { inOrder, pasteImage, scaling, translation } from '@goshawk/core';
import { filledImage, recycle, resizeOpenCv, warpImage } from '../pixels/index.js';
import { type AnnotatedPicture, moveObjects, type PointConventions } from './annotated-picture.js';
import type { PlannedMove, PlannedResize } from './planned-picture.js';

/** Crop, flip, affine, perspective. */
export function movePicture(
  { image, objects }: AnnotatedPicture,
  move: PlannedMove,
  conventions: PointConventions,
): AnnotatedPicture {
  return {
    image: warpImage(image, move.map, move, move.fill),
    objects: moveObjects(objects, move.map, move, conventions, move.kept),
  };
}

/** By OpenCV's bilinear filter; boxes, masks and keypoints by the ratio of the sides. */
export function resizePicture(
  { image, objects }: AnnotatedPicture,
  resize: PlannedResize,
  conventions: PointConventions,
): AnnotatedPicture {
  const { inner, left, top, width, height, fill } = resize;
  const isSame = inner.width === image.width && inner.height === image.height;
  const resized = isSame ? image : resizeOpenCv(image, inner.width, inner.height);
  const map = inOrder(scaling(inner.width / image.width, inner.height / image.height), translation(left, top));
  const moved = moveObjects(objects, map, resize, conventions);
  if (inner.width === width && inner.height === height) return { image: resized, objects: moved };
  const padded = filledImage(width, height, fill);
  pasteImage(padded, resized, left, top);
  if (!isSame) recycle(resized);
  return { image: padded, objects: moved };
}
