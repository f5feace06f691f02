// What a detector found in an image's network input, as detections in the image's own pixels: as they are evaluated, written and
// drawn, wherever the network ran.
import { boxXywh } from '../boxes/box.js';
import type { Detection } from '../formats/dataset.js';
import {
  boxesInImage,
  cutToImage,
  imageFromNetwork,
  type NetworkPlace,
  placeInNetwork,
  type ToImage,
  UNMOVED,
} from '../geometry/network-place.js';
import { type GridMaskPlace, gridMaskToRle } from '../masks/grid-mask-to-rle.js';
import { type Rle, rleArea } from '../masks/rle.js';
import { rleToBbox } from '../masks/rle-to-bbox.js';

/** D objects of one image, best first. */
export interface FoundObjects {
  /** What boxes and keypoints are measured in: pixels of the network's input, or of the image. */
  readonly pixels: 'network' | 'image';
  /** [D * 4] xyxy. */
  readonly boxes: Float32Array;
  readonly scores: ArrayLike<number>;
  /** 1..C. */
  readonly labels: readonly number[];
  /** Masks of the objects from their boxes [D * 4] in image pixels; absent for detectors without. */
  readonly masksIn?: (boxes: Float32Array) => readonly Rle[];
  /** [D * K * 4] x, y, the logit of the heatmap there, and its probability; absent for detectors without. */
  readonly keypoints?: Float32Array;
}

export interface NamedImage extends NetworkPlace {
  readonly imageId: number;
}

/** @param categoryIds by label - 1 */
export function detectionsInImage(found: FoundObjects, image: NamedImage, categoryIds: readonly number[]): Detection[] {
  const { imageId } = image;
  const isMoved = found.pixels === 'network';
  const boxes = isMoved ? boxesInImage(found.boxes, image) : found.boxes;
  const corners = isMoved ? cutToImage(boxes, image) : boxes;
  const masks = found.masksIn?.(boxes);
  const keypoints =
    found.keypoints && keypointsOf(found.keypoints, found.labels.length, isMoved ? imageFromNetwork(image) : UNMOVED);
  return found.labels.map((label, index) => {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = corners.subarray(index * 4, index * 4 + 4);
    return {
      imageId,
      categoryId: categoryIdOf(label, categoryIds),
      score: found.scores[index]!,
      bbox: boxXywh(x1, y1, x2 - x1, y2 - y1),
      ...(masks && { segmentation: { kind: 'rle' as const, rle: masks[index]! } }),
      ...keypoints?.[index],
    };
  });
}

/** Masks over the whole of an image's padded network input. */
export interface FoundMasks {
  readonly scores: ArrayLike<number>;
  /** 1..C. */
  readonly labels: readonly number[];
  readonly rows: number;
  readonly columns: number;
  /** Network pixels a side of a cell. */
  readonly stride: number;
  /** Their masks in the image. */
  readonly masksIn: (place: GridMaskPlace) => readonly Rle[];
}

/** @param probabilities [D * rows * columns] of the object in each cell; a pixel with more than `threshold` belongs to it */
export function gridMasksOf(probabilities: Float32Array, threshold: number): FoundMasks['masksIn'] {
  return (place) => {
    const area = place.rows * place.columns;
    return Array.from({ length: probabilities.length / area }, (_, i) =>
      gridMaskToRle(probabilities.subarray(i * area, (i + 1) * area), { ...place, threshold }),
    );
  };
}

/** Masks that no box bounds: the boxes are those around them. A detection of which no pixel is left is none. */
export function maskDetectionsInImage(
  { scores, labels, rows, columns, stride, masksIn }: FoundMasks,
  image: NamedImage,
  categoryIds: readonly number[],
): Detection[] {
  const masks = masksIn({
    ...{ rows, columns, stride },
    network: placeInNetwork(image),
    image: { width: image.originalWidth, height: image.originalHeight },
  });
  return labels.flatMap((label, index) => {
    const rle = masks[index]!;
    if (rleArea(rle) === 0) return [];
    return {
      imageId: image.imageId,
      categoryId: categoryIdOf(label, categoryIds),
      score: scores[index]!,
      bbox: rleToBbox(rle),
      segmentation: { kind: 'rle' as const, rle },
    };
  });
}

function categoryIdOf(label: number, categoryIds: readonly number[]): number {
  const id = categoryIds[label - 1];
  if (id === undefined) throw new Error(`internal: class ${label} of ${categoryIds.length}`);
  return id;
}

/** COCO's lists x, y, v of each object, and their logits; v is 1 for all, as Detectron writes results. */
function keypointsOf(
  values: Float32Array,
  objects: number,
  { scaleX, scaleY, left, top }: ToImage,
): Required<Pick<Detection, 'keypoints' | 'keypointLogits'>>[] {
  const count = values.length / 4 / objects;
  return Array.from({ length: objects }, (_, object) => {
    const places = Array.from({ length: count }, (__, point) => (object * count + point) * 4);
    return {
      keypoints: places.flatMap((at) => [values[at]! * scaleX + left, values[at + 1]! * scaleY + top, 1]),
      keypointLogits: places.map((at) => values[at + 2]!),
    };
  });
}
