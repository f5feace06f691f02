// Annotations of one picture to a target in network pixels.
import {
  type Annotation,
  type BoxConvention,
  type BoxXyxy,
  boxXyxy,
  clipBox,
  decodeMask,
  flipBoxHorizontally,
  flipKeypoints,
  flipPolygon,
  type ImageSize,
  InputError,
  maskInWindow,
  type NetworkSize,
  nearestMaskCrop,
  type PixelWindow,
  type Polygon,
  polygonInWindow,
  polygonsToRle,
  type Rle,
  scaleBox,
  traceContours,
  xywhToXyxy,
} from '@goshawk/core';
import type { Target } from './batch.js';
import { hasSides } from './box-area.js';

/** How a picture becomes what the network reads: mirrored, resized, and of that the window. */
export interface PictureView {
  readonly size: NetworkSize;
  readonly flip: boolean;
  /** In pixels of `size`. Absent: all of it. */
  readonly window?: PixelWindow;
  /**
   * Detectron's reading of COCO files: a box holds its last pixel (x2 = x + max(0, width - 1)) and is kept only where it
   * has an area and two different corners; mirrored x becomes width - 1 - x everywhere. Default false: continuous.
   */
  readonly legacyPlusOne?: boolean;
}

export interface TargetOptions extends PictureView {
  /** Classes of `annotations`, 1..C, one each. */
  readonly classes: readonly number[];
  readonly masks: boolean;
  /** Default false. */
  readonly polygons?: boolean;
  /** Points an object; 0 for no keypoints. */
  readonly keypointCount: number;
  readonly keypointFlipOrder: readonly number[];
}

/**
 * The objects of a picture as `options` views it. Boxes are clipped to the view; objects of which nothing is left there are
 * left out. Masks follow torchvision's rule ({@link nearestMaskCrop}); a
 * run-length mask has the polygons of its outlines, its holes filled; keypoints outside of a window are not labelled.
 * @throws InputError naming the annotation whose mask cannot be read
 */
export function makeTarget(annotations: readonly Annotation[], image: ImageSize, options: TargetOptions): Target {
  const { size, window } = options;
  const { left = 0, top = 0 } = size.frame ?? {};
  const objects = annotations.flatMap((annotation, i) => {
    const box = boxInView(annotation, image, options);
    if (box === undefined) return [];
    const polygons = options.polygons ? polygonsOf(annotation, image, options) : [];
    // Detectron's mask targets look for the object by its outline.
    if (options.polygons && polygons.length === 0) return [];
    return [{ annotation, box, polygons, objectClass: options.classes[i]! }];
  });
  const kept = objects.map(({ annotation }) => annotation);
  return {
    boxes: Float32Array.from(objects.flatMap(({ box }) => [...box])),
    classes: Int32Array.from(objects, ({ objectClass }) => objectClass),
    areas: Float32Array.from(kept, (annotation) => annotation.area * size.scaleX * size.scaleY),
    annotationIds: kept.map((annotation) => annotation.id),
    ...(options.masks && {
      masks: kept.map((annotation) => {
        const mask = nearestMaskCrop(rleOf(annotation, image), size.width, size.height, { flip: options.flip });
        if (window !== undefined) return maskInWindow(mask, window);
        return { ...mask, x: mask.x + left, y: mask.y + top };
      }),
    }),
    ...(options.polygons && { polygons: objects.map(({ polygons }) => polygons) }),
    ...(options.keypointCount > 0 && { keypoints: keypointsOf(kept, image, options) }),
  };
}

/**
 * An object's box in pixels of the view, clipped to it; undefined where it is to be left out, as where it has no area in
 * the network's float32.
 */
export function boxInView(annotation: Annotation, image: ImageSize, view: PictureView): BoxXyxy | undefined {
  const { legacyPlusOne } = view;
  const [x, y, width, height] = annotation.bbox;
  const whole = legacyPlusOne
    ? boxXyxy(x, y, x + Math.max(0, width - 1), y + Math.max(0, height - 1))
    : xywhToXyxy(annotation.bbox);
  const clipped = clipBox(whole, image, { legacyPlusOne });
  if (legacyPlusOne && !(annotation.area > 0 && hasSides(clipped))) return undefined;
  return moveBox(clipped, image, view);
}

/**
 * Proposals `[n * 4]` of image pixels, in the model's convention, in pixels of the view: clipped to it, those of which
 * nothing is left are left out.
 */
export function proposalsInView(proposals: Float32Array, image: ImageSize, view: PictureView): Float32Array {
  const kept: number[] = [];
  for (let i = 0; i < proposals.length; i += 4) {
    const box = boxXyxy(proposals[i]!, proposals[i + 1]!, proposals[i + 2]!, proposals[i + 3]!);
    const clipped = clipBox(box, image, { legacyPlusOne: view.legacyPlusOne });
    const moved = hasSides(clipped) ? moveBox(clipped, image, view) : undefined;
    if (moved) kept.push(...moved);
  }
  return Float32Array.from(kept);
}

/** A box inside of the picture, mirrored, scaled and clipped to the window; undefined where nothing is left. */
function moveBox(clipped: BoxXyxy, image: ImageSize, view: PictureView): BoxXyxy | undefined {
  const { size, flip, window, legacyPlusOne } = view;
  const convention: BoxConvention = { legacyPlusOne };
  const mirrored = flip ? flipBoxHorizontally(clipped, image.width, convention) : clipped;
  const scaled = scaleBox(mirrored, size.scaleX, size.scaleY);
  const [x1, y1, x2, y2] = scaled;
  if (window === undefined) {
    const { left = 0, top = 0 } = size.frame ?? {};
    // In the frame float32 has fewer digits behind the point than at the picture's own corner.
    const framed = boxXyxy(x1 + left, y1 + top, x2 + left, y2 + top);
    return hasSides(framed) ? framed : undefined;
  }
  const moved = boxXyxy(x1 - window.x, y1 - window.y, x2 - window.x, y2 - window.y);
  const inside = clipBox(moved, window, convention);
  return hasSides(inside) ? inside : undefined;
}

function rleOf({ id, segmentation }: Annotation, image: ImageSize): Rle {
  if (segmentation === undefined)
    throw new InputError('annotation-invalid', `annotation id ${id}: has no segmentation`);
  if (segmentation.kind === 'rle') return segmentation.rle;
  return polygonsToRle(segmentation.polygons, [image.height, image.width]);
}

function polygonsOf(annotation: Annotation, image: ImageSize, options: TargetOptions): Float64Array[] {
  const { size, flip, window, legacyPlusOne } = options;
  const { left = 0, top = 0 } = size.frame ?? {};
  return outlinesOf(annotation).flatMap((polygon) => {
    const points = flip ? flipPolygon(polygon, image.width, { pixelCentres: legacyPlusOne }) : polygon;
    const scaled = Float64Array.from(points, (value, i) =>
      i % 2 === 0 ? value * size.scaleX + left : value * size.scaleY + top,
    );
    if (window === undefined) return [scaled];
    const inside = polygonInWindow(scaled, window);
    return inside.length > 0 ? [Float64Array.from(inside)] : [];
  });
}

/** In image pixels. */
function outlinesOf({ segmentation }: Annotation): readonly Polygon[] {
  if (segmentation === undefined) return [];
  if (segmentation.kind === 'rle') {
    const contours = traceContours(decodeMask(segmentation.rle), segmentation.rle.size);
    return contours.filter(({ isHole }) => !isHole).map(({ points }) => points);
  }
  // Three corners make a polygon.
  return segmentation.polygons.filter((polygon) => polygon.length >= 6);
}

function keypointsOf(annotations: readonly Annotation[], image: ImageSize, options: TargetOptions): Float32Array {
  const { size, flip, window, legacyPlusOne, keypointCount, keypointFlipOrder: order } = options;
  const { left = 0, top = 0 } = size.frame ?? {};
  const keypoints = new Float32Array(annotations.length * keypointCount * 3);
  annotations.forEach((annotation, i) => {
    if (annotation.keypoints?.length !== keypointCount * 3) return;
    const points = flip
      ? flipKeypoints(annotation.keypoints, { imageWidth: image.width, order, pixelCentres: legacyPlusOne })
      : annotation.keypoints;
    keypoints.set(points, i * keypointCount * 3);
  });
  for (let i = 0; i < keypoints.length; i += 3) {
    keypoints[i] = keypoints[i]! * size.scaleX + left;
    keypoints[i + 1] = keypoints[i + 1]! * size.scaleY + top;
  }
  if (window !== undefined) moveKeypoints(keypoints, window);
  return keypoints;
}

/** Into the window's pixels; a point outside of it becomes 0, 0, 0. */
function moveKeypoints(keypoints: Float32Array, window: PixelWindow): void {
  for (let i = 0; i < keypoints.length; i += 3) {
    const x = keypoints[i]! - window.x;
    const y = keypoints[i + 1]! - window.y;
    const isInside = x >= 0 && y >= 0 && x <= window.width && y <= window.height;
    keypoints.set(isInside && keypoints[i + 2]! > 0 ? [x, y, keypoints[i + 2]!] : [0, 0, 0], i);
  }
}
