// Annotations of one picture to a target in network pixels.
import {
  type Annotation,
  clipBox,
  flipBoxHorizontally,
  flipKeypoints,
  type ImageRecord,
  InputError,
  type MaskCrop,
  type NetworkSize,
  nearestMaskCrop,
  polygonsToRle,
  type Rle,
  scaleBox,
  xywhToXyxy,
} from '@goshawk/core';
import type { Target } from './batch.js';

export interface TargetOptions {
  readonly size: NetworkSize;
  readonly flip: boolean;
  /** Classes of `annotations`, 1..C, one each. */
  readonly classes: readonly number[];
  readonly masks: boolean;
  /** Points an object; 0 for no keypoints. */
  readonly keypointCount: number;
  readonly keypointFlipOrder: readonly number[];
}

/**
 * Clips the boxes to the picture, mirrors where asked, scales. Masks follow torchvision's rule ({@link nearestMaskCrop}).
 * @throws InputError naming the annotation whose mask cannot be read
 */
export function makeTarget(annotations: readonly Annotation[], image: ImageRecord, options: TargetOptions): Target {
  const { size, flip } = options;
  const boxes = new Float32Array(annotations.length * 4);
  annotations.forEach((annotation, i) => {
    const clipped = clipBox(xywhToXyxy(annotation.bbox), image);
    const mirrored = flip ? flipBoxHorizontally(clipped, image.width) : clipped;
    boxes.set(scaleBox(mirrored, size.scaleX, size.scaleY), i * 4);
  });
  const target = {
    boxes,
    classes: Int32Array.from(options.classes),
    areas: Float32Array.from(annotations, (annotation) => annotation.area * size.scaleX * size.scaleY),
    annotationIds: annotations.map((annotation) => annotation.id),
  };
  return {
    ...target,
    ...(options.masks && { masks: annotations.map((annotation) => maskOf(annotation, image, size, flip)) }),
    ...(options.keypointCount > 0 && { keypoints: keypointsOf(annotations, image, options) }),
  };
}

function maskOf(annotation: Annotation, image: ImageRecord, size: NetworkSize, flip: boolean): MaskCrop {
  return nearestMaskCrop(rleOf(annotation, image), size.width, size.height, { flip });
}

function rleOf({ id, segmentation }: Annotation, image: ImageRecord): Rle {
  if (segmentation === undefined)
    throw new InputError('annotation-invalid', `annotation id ${id}: has no segmentation`);
  if (segmentation.kind === 'rle') return segmentation.rle;
  return polygonsToRle(segmentation.polygons, [image.height, image.width]);
}

function keypointsOf(annotations: readonly Annotation[], image: ImageRecord, options: TargetOptions): Float32Array {
  const { size, flip, keypointCount, keypointFlipOrder: order } = options;
  const keypoints = new Float32Array(annotations.length * keypointCount * 3);
  annotations.forEach((annotation, i) => {
    if (annotation.keypoints?.length !== keypointCount * 3) return;
    const points = flip
      ? flipKeypoints(annotation.keypoints, { imageWidth: image.width, order })
      : annotation.keypoints;
    keypoints.set(points, i * keypointCount * 3);
  });
  for (let i = 0; i < keypoints.length; i += 3) {
    keypoints[i] = keypoints[i]! * size.scaleX;
    keypoints[i + 1] = keypoints[i + 1]! * size.scaleY;
  }
  return keypoints;
}
