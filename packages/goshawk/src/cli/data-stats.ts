// goshawk data stats: what an annotation file holds, in numbers.
import type { Annotation, Dataset } from '@goshawk/core';
import { readAnnotations } from '../data/annotation-files.js';
import { formatTable } from '../terminal/text-table.js';
import { type AnnotationCommandOptions, annotationSource } from './annotation-options.js';

export interface DataStatsCommandOptions extends AnnotationCommandOptions {
  readonly json?: boolean;
}

export function runDataStats(file: string, options: DataStatsCommandOptions): void {
  const { dataset, warnings } = readAnnotations(annotationSource(file, options));
  const stats = datasetStats(dataset);
  if (options.json) {
    console.log(JSON.stringify({ file, warnings: warnings.length, ...stats }, undefined, 2));
    return;
  }
  console.log(describeStats(stats));
  if (warnings.length > 0) console.log(`\n${warnings.length} warnings: goshawk data check ${file} lists them`);
}

export interface DatasetStats {
  readonly images: number;
  readonly emptyImages: number;
  readonly annotations: number;
  readonly crowds: number;
  readonly withMask: number;
  readonly withKeypoints: number;
  /** By COCO's limits on the area in square pixels: 32^2 and 96^2; crowds are not counted. */
  readonly sizes: Sizes;
  readonly objectsPerImage: Quantiles;
  /** Width / height of the boxes. */
  readonly aspectRatio: Quantiles;
  /** Square root of the area, in pixels. */
  readonly objectSize: Quantiles;
  readonly imageWidth: Quantiles;
  readonly imageHeight: Quantiles;
  readonly categories: readonly CategoryCount[];
}

export interface Sizes {
  readonly small: number;
  readonly medium: number;
  readonly large: number;
}

export interface CategoryCount extends Sizes {
  readonly id: number;
  readonly name: string;
  readonly objects: number;
  readonly images: number;
}

export interface Quantiles {
  readonly min: number;
  readonly p10: number;
  readonly median: number;
  readonly p90: number;
  readonly max: number;
}

export function datasetStats(dataset: Dataset): DatasetStats {
  const objects = dataset.annotations.filter((annotation) => !annotation.isCrowd);
  const perImage = new Map(dataset.images.map((image) => [image.id, 0]));
  for (const { imageId } of objects) perImage.set(imageId, (perImage.get(imageId) ?? 0) + 1);
  return {
    images: dataset.images.length,
    emptyImages: [...perImage.values()].filter((count) => count === 0).length,
    annotations: dataset.annotations.length,
    crowds: dataset.annotations.length - objects.length,
    withMask: objects.filter((annotation) => annotation.segmentation !== undefined).length,
    withKeypoints: objects.filter((annotation) => (annotation.numKeypoints ?? 0) > 0).length,
    sizes: countSizes(objects),
    objectsPerImage: quantiles([...perImage.values()]),
    aspectRatio: quantiles(objects.map(({ bbox }) => bbox[2] / bbox[3]).filter(Number.isFinite)),
    objectSize: quantiles(objects.map(({ area }) => Math.sqrt(area))),
    imageWidth: quantiles(dataset.images.map((image) => image.width)),
    imageHeight: quantiles(dataset.images.map((image) => image.height)),
    categories: countCategories(dataset, objects),
  };
}

function countCategories(dataset: Dataset, objects: readonly Annotation[]): CategoryCount[] {
  const byCategory = new Map<number, Annotation[]>(dataset.categories.map((category) => [category.id, []]));
  for (const annotation of objects) byCategory.get(annotation.categoryId)?.push(annotation);
  return dataset.categories.map(({ id, name }) => {
    const own = byCategory.get(id) ?? [];
    const images = new Set(own.map((annotation) => annotation.imageId)).size;
    return { id, name, objects: own.length, images, ...countSizes(own) };
  });
}

function countSizes(objects: readonly Annotation[]): Sizes {
  const small = objects.filter(({ area }) => area < 32 ** 2).length;
  const large = objects.filter(({ area }) => area >= 96 ** 2).length;
  return { small, medium: objects.length - small - large, large };
}

/** Of nothing: all zero. */
function quantiles(values: readonly number[]): Quantiles {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number): number => sorted[Math.round((sorted.length - 1) * share)] ?? 0;
  return { min: at(0), p10: at(0.1), median: at(0.5), p90: at(0.9), max: at(1) };
}

function describeStats(stats: DatasetStats): string {
  const objects = stats.annotations - stats.crowds;
  const share = (count: number): string => (objects === 0 ? '-' : `${((100 * count) / objects).toFixed(0)}%`);
  const { small, medium, large } = stats.sizes;
  const row = (name: string, { min, p10, median, p90, max }: Quantiles): (string | number)[] => [
    name,
    ...[min, p10, median, p90, max].map((value) => Number(value.toPrecision(3))),
  ];
  const distribution = formatTable([
    ['', 'min', '10%', 'median', '90%', 'max'],
    row('objects a picture', stats.objectsPerImage),
    row('object size (px, square root of area)', stats.objectSize),
    row('box width / height', stats.aspectRatio),
    row('picture width (px)', stats.imageWidth),
    row('picture height (px)', stats.imageHeight),
  ]);
  const categories = [...stats.categories].sort((a, b) => b.objects - a.objects || a.id - b.id);
  const table = formatTable([
    ['category', 'id', 'objects', 'pictures', 'small', 'medium', 'large'],
    ...categories.map((one) => [one.name, one.id, one.objects, one.images, one.small, one.medium, one.large]),
  ]);
  return [
    `${stats.images} images (${stats.emptyImages} without objects), ${objects} objects, ${stats.crowds} crowd regions`,
    `${stats.withMask} with a mask, ${stats.withKeypoints} with keypoints`,
    `small ${small} (${share(small)}), medium ${medium} (${share(medium)}), large ${large} (${share(large)}): limits 32 x 32 and 96 x 96 px`,
    '',
    distribution,
    '',
    table,
  ].join('\n');
}
