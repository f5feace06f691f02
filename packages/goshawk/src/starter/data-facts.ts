// What the rules of a first config look at: a data set's counts and the sizes and shapes of its objects.
import type { Annotation, Dataset, Polygon } from '@goshawk/core';

export interface DataFacts {
  readonly pictures: number;
  readonly objects: number;
  readonly classes: readonly string[];
  /** The class with the fewest objects. */
  readonly rarest: { readonly name: string; readonly objects: number };
  /** Of the objects, square root of the box's area over the long side of its picture. */
  readonly side: Quantiles;
  /** The least `side.low` of a class by itself. */
  readonly smallestClass: number;
  /** Of the boxes, height / width. */
  readonly aspect: Quantiles;
  /** Of the pictures, pixels. */
  readonly longSide: Quantiles;
  /** Of the pictures, short side / long side. */
  readonly shortShare: number;
  /** Objects of the fullest of twenty pictures (the 95th percentile). */
  readonly crowded: number;
  /** Share of the objects that have a mask which is not just their box. */
  readonly masks: number;
  /** Share of the objects with labelled keypoints. */
  readonly keypoints: number;
}

export interface Quantiles {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

/** Crowd regions and boxes without an area are left out; `low` and `high` are the 10th and 90th percentiles. */
export function dataFacts({ images, annotations, categories }: Dataset): DataFacts {
  const pictureOf = new Map(images.map((image) => [image.id, image]));
  const objects = annotations.filter(({ isCrowd, bbox }) => !isCrowd && bbox[2] > 0 && bbox[3] > 0);
  const perPicture = new Map(images.map(({ id }) => [id, 0]));
  const perClass = new Map(categories.map(({ id }) => [id, [] as number[]]));
  for (const { imageId, categoryId, bbox } of objects) {
    perPicture.set(imageId, (perPicture.get(imageId) ?? 0) + 1);
    const { width, height } = pictureOf.get(imageId)!;
    perClass.get(categoryId)!.push(Math.sqrt(bbox[2] * bbox[3]) / Math.max(width, height));
  }
  const countOf = (id: number): number => perClass.get(id)!.length;
  const sides = [...perClass.values()];
  const share = (isMeant: (object: Annotation) => boolean): number =>
    objects.length === 0 ? 0 : objects.filter(isMeant).length / objects.length;
  const rarest = [...categories].sort((a, b) => countOf(a.id) - countOf(b.id))[0];
  return {
    pictures: images.length,
    objects: objects.length,
    classes: categories.map(({ name }) => name),
    rarest: { name: rarest?.name ?? '', objects: rarest ? countOf(rarest.id) : 0 },
    side: quantiles(sides.flat()),
    smallestClass: quantile(
      sides.filter((own) => own.length > 0).map((own) => quantiles(own).low),
      0,
    ),
    aspect: quantiles(objects.map(({ bbox }) => bbox[3] / bbox[2])),
    longSide: quantiles(images.map(({ width, height }) => Math.max(width, height))),
    shortShare: quantiles(images.map(({ width, height }) => Math.min(width, height) / Math.max(width, height))).median,
    crowded: quantile([...perPicture.values()], 0.95),
    masks: share(hasOutline),
    keypoints: share(({ numKeypoints = 0 }) => numKeypoints > 0),
  };
}

/** Some programs export boxes as polygons of four corners. */
function hasOutline({ segmentation }: Annotation): boolean {
  if (segmentation === undefined) return false;
  return segmentation.kind === 'rle' || !segmentation.polygons.every(isRectangle);
}

/** Whether all corners are the corners of its box. */
function isRectangle(polygon: Polygon): boolean {
  const [xs, ys] = [0, 1].map((axis) => new Set(polygon.filter((_, i) => i % 2 === axis)));
  return xs!.size <= 2 && ys!.size <= 2;
}

function quantiles(values: readonly number[]): Quantiles {
  return { low: quantile(values, 0.1), median: quantile(values, 0.5), high: quantile(values, 0.9) };
}

/** Of nothing: 0. */
function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.round((sorted.length - 1) * share)] ?? 0;
}
