// A picture and the objects in it, moved together.
import { type Annotation, type MoveOptions, moveAnnotation, type PlanarMap, type RgbImage } from '@goshawk/core';
import type { KeptObjects } from './planned-picture.js';

export interface LearnedObject {
  readonly annotation: Annotation;
  /** 1..C. */
  readonly objectClass: number;
}

export interface AnnotatedPicture {
  readonly image: RgbImage;
  /** In pixels of `image`. */
  readonly objects: readonly LearnedObject[];
}

/** How the data set's points are to be read. */
export type PointConventions = Pick<MoveOptions, 'keypointFlipOrder' | 'pixelCentres'>;

/**
 * The objects in a picture that a map makes, of `size`; those of which nothing is left, or less than `kept` asks for, are
 * left out. (What becomes of a box, a mask and keypoints: `moveAnnotation`.)
 */
export function moveObjects(
  objects: readonly LearnedObject[],
  map: PlanarMap,
  size: { readonly width: number; readonly height: number },
  conventions: PointConventions,
  kept?: KeptObjects,
): LearnedObject[] {
  const { width, height } = size;
  return objects.flatMap(({ annotation, objectClass }) => {
    const moved = moveAnnotation(annotation, map, { ...conventions, width, height });
    if (moved === undefined || (kept && !isKept(moved.annotation, moved.visible, kept))) return [];
    return [{ annotation: moved.annotation, objectClass }];
  });
}

function isKept(
  { bbox: [, , width, height] }: Annotation,
  visible: number,
  { minSide, minVisible, maxAspect }: KeptObjects,
): boolean {
  if (!(width > minSide && height > minSide && visible > minVisible)) return false;
  return Math.max(width, height) < maxAspect * Math.min(width, height);
}
