// What a data set is like: how many objects of what, how large, of what shape, where, and whether anchors fit them.
import { type Annotation, boxXywh, type Dataset, networkSize } from '@goshawk/core';
import type { ModelConfig, PreprocessConfig } from '../config/index.js';
import { modelAnchors } from '../models/anchor-shapes.js';
import { binOf, boxAspect, boxSize, keptPixels, POSITION_CELLS, positionCell } from './page/box-measures.js';
import type { AnchorsData, DataSetData, HistogramData } from './page/report-data.js';

export interface DataFiguresOptions {
  readonly name: string;
  readonly dataset: Dataset;
  /** Whether its pictures are those of the report. */
  readonly isShown: boolean;
  readonly model: ModelConfig;
  readonly preprocess: PreprocessConfig;
}

const EDGES: Readonly<Record<HistogramData['measure'], readonly number[]>> = {
  // COCO's limits, 32 and 96, are among them.
  size: [0, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 4096],
  aspect: [0, 0.25, 0.35, 0.5, 0.7, 1, 1.4, 2, 2.8, 4, 100],
  perPicture: [0, 1, 2, 3, 4, 6, 8, 11, 16, 31, 61, 1000],
};

/** Crowds are counted apart, and are no objects. */
export function dataFigures({ name, dataset, isShown, model, preprocess }: DataFiguresOptions): DataSetData {
  const objects = dataset.annotations
    .filter(({ isCrowd }) => !isCrowd)
    .map((object) => ({ ...object, bbox: keptBox(object.bbox) }));
  const categories = [...dataset.categories].sort((a, b) => a.id - b.id);
  const place = new Map(categories.map(({ id }, index) => [id, index]));
  const perClass = new Array<number>(categories.length).fill(0);
  const perPicture = new Map(dataset.images.map(({ id }) => [id, 0]));
  for (const { categoryId, imageId } of objects) {
    perClass[place.get(categoryId)!]!++;
    perPicture.set(imageId, (perPicture.get(imageId) ?? 0) + 1);
  }
  const anchors = anchorCoverage(dataset, objects, model, preprocess);
  return {
    name,
    isShown,
    pictures: dataset.images.length,
    emptyPictures: [...perPicture.values()].filter((count) => count === 0).length,
    objects: objects.length,
    crowds: dataset.annotations.length - objects.length,
    perClass,
    histograms: [
      histogram(
        'size',
        objects.map(({ bbox }) => boxSize(bbox[2], bbox[3])),
      ),
      histogram(
        'aspect',
        objects.map(({ bbox }) => boxAspect(bbox[2], bbox[3])),
      ),
      histogram('perPicture', [...perPicture.values()]),
    ],
    positions: positions(dataset, objects),
    ...(anchors && { anchors }),
  };
}

function keptBox([x, y, width, height]: Annotation['bbox']): Annotation['bbox'] {
  return boxXywh(keptPixels(x), keptPixels(y), keptPixels(width), keptPixels(height));
}

function histogram(measure: HistogramData['measure'], values: readonly number[]): HistogramData {
  const edges = EDGES[measure];
  const counts = new Array<number>(edges.length - 1).fill(0);
  for (const value of values) counts[binOf(value, edges)]!++;
  return { measure, edges, counts };
}

function positions(dataset: Dataset, objects: readonly Annotation[]): number[][] {
  const images = new Map(dataset.images.map((image) => [image.id, image]));
  const cells = Array.from({ length: POSITION_CELLS }, () => new Array<number>(POSITION_CELLS).fill(0));
  for (const { imageId, bbox } of objects) {
    const [x, y, width, height] = bbox;
    const [row, column] = positionCell({ x, y, width, height }, images.get(imageId)!);
    cells[row]![column]!++;
  }
  return cells;
}

const IOU_EDGES = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];

/** How well the best anchor fits each object in the network's pixels, both centred on one point. */
function anchorCoverage(
  dataset: Dataset,
  objects: readonly Annotation[],
  model: ModelConfig,
  { resize }: PreprocessConfig,
): AnchorsData | undefined {
  const anchors = modelAnchors(model);
  if (anchors === undefined || objects.length === 0) return undefined;
  const sizes = new Map(
    dataset.images.map(({ id, width, height }) => [id, networkSize(width, height, resize.rule, resize)]),
  );
  const counts = new Array<number>(IOU_EDGES.length - 1).fill(0);
  let covered = 0;
  for (const { imageId, bbox } of objects) {
    const size = sizes.get(imageId)!;
    const width = bbox[2] * size.scaleX;
    const height = bbox[3] * size.scaleY;
    let best = 0;
    for (const shape of anchors.shapes) {
      const common = Math.min(width, shape.width) * Math.min(height, shape.height);
      best = Math.max(best, common / (width * height + shape.width * shape.height - common));
    }
    if (best >= anchors.foregroundIou) covered++;
    counts[binOf(best, IOU_EDGES)]!++;
  }
  return { edges: IOU_EDGES, counts, covered: covered / objects.length, iouThreshold: anchors.foregroundIou };
}
