// What Cityscapes' AP is computed from: the pixels of objects and detections of one class in one picture, and how many
// of them they share.
import { InputError } from '../errors/input-error.js';
import type { Dataset, Detection, ImageRecord, Segmentation } from '../formats/dataset.js';
import { intersectionArea } from '../masks/mask-iou.js';
import { type Rle, rleArea } from '../masks/rle.js';
import { segmentationToRle } from './overlap.js';

export interface CityscapesTruth {
  readonly pixels: number;
  /** Several things that could not be told apart. */
  readonly isGroup: boolean;
}

export interface CityscapesPrediction {
  readonly score: number;
  readonly pixels: number;
  /** On void classes. */
  readonly voidPixels: number;
  /** With each object of the class in the picture. */
  readonly shared: readonly number[];
}

/** One picture and class. */
export interface CityscapesPairs {
  readonly truths: readonly CityscapesTruth[];
  readonly predictions: readonly CityscapesPrediction[];
}

/** By category id; pictures without objects and detections of a class are left out. Empty detections do not count. */
export function cityscapesPairs(
  { images, annotations, categories, ignoredRegions }: Dataset,
  detections: readonly Detection[],
): Map<number, CityscapesPairs[]> {
  const truths = byImageAndCategory(annotations);
  const found = byImageAndCategory(detections);
  const known = new Set(images.map(({ id }) => id));
  for (const [i, { imageId, score }] of detections.entries()) {
    if (!known.has(imageId)) {
      throw new InputError(
        'results-invalid',
        `detections[${i}]: image ${imageId} is not in the ground truth: evaluate against the ground truth of the same images`,
      );
    }
    if (Number.isNaN(score)) {
      throw new InputError('results-invalid', `detections[${i}]: score must be a number, got NaN: drop the detection`);
    }
  }
  const pairs = new Map<number, CityscapesPairs[]>(categories.map(({ id }) => [id, []]));
  for (const image of images) {
    const ignored = ignoredRegions?.get(image.id);
    for (const { id } of categories) {
      const own = truths.get(image.id)?.get(id) ?? [];
      const masks = own.map((one) => maskOf(one.segmentation, image, `annotation ${one.id}`, 'annotation-invalid'));
      const predictions = (found.get(image.id)?.get(id) ?? []).flatMap((one): CityscapesPrediction[] => {
        const mask = maskOf(one.segmentation, image, 'detection', 'results-invalid');
        const pixels = rleArea(mask);
        if (pixels === 0) return [];
        return [
          {
            score: one.score,
            pixels,
            voidPixels: ignored === undefined ? 0 : intersectionArea(ignored.counts, mask.counts),
            shared: masks.map((truth) => intersectionArea(truth.counts, mask.counts)),
          },
        ];
      });
      if (own.length === 0 && predictions.length === 0) continue;
      const rows = own.map(({ isCrowd }, i) => ({ pixels: rleArea(masks[i]!), isGroup: isCrowd }));
      pairs.get(id)!.push({ truths: rows, predictions });
    }
  }
  return pairs;
}

function maskOf(
  segmentation: Segmentation | undefined,
  image: ImageRecord,
  what: string,
  code: 'annotation-invalid' | 'results-invalid',
): Rle {
  if (segmentation === undefined) {
    throw new InputError(
      code,
      `${what} of image ${image.id}: segmentation is missing: Cityscapes AP compares masks, add them or evaluate boxes`,
    );
  }
  const mask = segmentationToRle(segmentation, image, what);
  if (mask.size[0] === image.height && mask.size[1] === image.width) return mask;
  throw new InputError(
    code,
    `${what} of image ${image.id}: mask is ${mask.size.join(' x ')} (expected ${image.height} x ${image.width}): encode it at the picture's size`,
  );
}

function byImageAndCategory<Entry extends { readonly imageId: number; readonly categoryId: number }>(
  entries: readonly Entry[],
): Map<number, Map<number, Entry[]>> {
  const images = new Map<number, Map<number, Entry[]>>();
  for (const entry of entries) {
    let categories = images.get(entry.imageId);
    if (categories === undefined) {
      categories = new Map();
      images.set(entry.imageId, categories);
    }
    const own = categories.get(entry.categoryId);
    if (own === undefined) categories.set(entry.categoryId, [entry]);
    else own.push(entry);
  }
  return images;
}
