// Which objects and detections a report keeps of each picture, and how lists name them.
import { type Annotation, type BoxXywh, boxXywh, type Dataset, type Detection, type ImageRecord } from '@goshawk/core';
import { maskPath } from './mask-paths.js';
import { keptPixels } from './page/box-measures.js';
import type { DetectionData, ObjectData, Pair, PictureData } from './page/report-data.js';

/** What an analysis counts: an object, a detection, or both together. */
export interface Counted {
  readonly image: ImageRecord;
  readonly object?: Annotation;
  readonly detection?: Detection;
}

// So many detections of all pictures together open in a second.
const MOST_DETECTIONS = 120_000;
const FEWEST_A_PICTURE = 10;
const MOST_A_PICTURE = 60;
const LOWEST_SCORE = 0.05;
// Of masks: of all pictures together, and of a detection.
const MOST_PATH_LETTERS = 6_000_000;
const LOWEST_MASK_SCORE = 0.2;

export class ReportPictures {
  readonly #dataset: Dataset;
  readonly #category: ReadonlyMap<number, number>;
  readonly #picture: ReadonlyMap<number, number>;
  readonly #objects: readonly (readonly Annotation[])[];
  readonly #detections: readonly (readonly Detection[])[];
  /** Places of kept objects and detections within their picture. */
  readonly #places = new Map<Annotation | Detection, number>();

  /** @param counted whose detections are kept in any case */
  constructor(dataset: Dataset, detections: readonly Detection[], counted: Iterable<Counted>) {
    this.#dataset = dataset;
    const categories = [...dataset.categories].sort((a, b) => a.id - b.id);
    this.#category = new Map(categories.map(({ id }, index) => [id, index]));
    this.#picture = new Map(dataset.images.map(({ id }, index) => [id, index]));
    this.#objects = this.#byPicture(dataset.annotations);
    const needed = new Set<Detection>();
    for (const { detection } of counted) if (detection) needed.add(detection);
    const perPicture = Math.floor(MOST_DETECTIONS / Math.max(1, dataset.images.length));
    const limit = Math.min(MOST_A_PICTURE, Math.max(FEWEST_A_PICTURE, perPicture));
    this.#detections = this.#byPicture(detections).map((own) =>
      [...own]
        .sort((a, b) => b.score - a.score)
        .filter((one, rank) => needed.has(one) || (rank < limit && one.score >= LOWEST_SCORE)),
    );
    for (const list of [...this.#objects, ...this.#detections])
      list.forEach((one, place) => {
        this.#places.set(one, place);
      });
  }

  /** What is counted, by its places. */
  pair({ image, object, detection }: Counted): Pair {
    return [
      this.#picture.get(image.id)!,
      object === undefined ? -1 : this.#places.get(object)!,
      detection === undefined ? -1 : this.#places.get(detection)!,
    ];
  }

  /** @param fileOf where the report has the picture */
  data(fileOf: (image: ImageRecord) => string | undefined): PictureData[] {
    let left = MOST_PATH_LETTERS;
    const paths = (items: readonly (Annotation | Detection)[], { width, height }: ImageRecord): string[] => {
      const made = items.map((item) => {
        if (left <= 0 || !item.segmentation || ('score' in item && item.score < LOWEST_MASK_SCORE)) return '';
        const path = maskPath(item.segmentation, Math.max(width, height));
        left -= path.length;
        return path;
      });
      return made.some((path) => path !== '') ? made : [];
    };
    return this.#dataset.images.map((image, index) => {
      const file = fileOf(image);
      const objectMasks = file === undefined ? [] : paths(this.#objects[index]!, image);
      const detectionMasks = file === undefined ? [] : paths(this.#detections[index]!, image);
      return {
        name: image.fileName,
        width: image.width,
        height: image.height,
        ...(file !== undefined && { file }),
        objects: this.#objects[index]!.map((one) => this.#object(one)),
        detections: this.#detections[index]!.map((one) => this.#detection(one)),
        ...(objectMasks.length > 0 && { objectMasks }),
        ...(detectionMasks.length > 0 && { detectionMasks }),
      };
    });
  }

  /** Of categories that the data set lacks there is nothing to show. */
  #byPicture<Item extends Annotation | Detection>(items: readonly Item[]): Item[][] {
    const lists = this.#dataset.images.map((): Item[] => []);
    for (const item of items) {
      const place = this.#picture.get(item.imageId);
      if (place !== undefined && this.#category.has(item.categoryId)) lists[place]!.push(item);
    }
    return lists;
  }

  #object({ categoryId, bbox, isCrowd }: Annotation): ObjectData {
    const box = [this.#category.get(categoryId)!, ...rounded(bbox)] as const;
    return isCrowd ? [...box, 1] : box;
  }

  #detection({ categoryId, score, bbox = NO_BOX }: Detection): DetectionData {
    return [this.#category.get(categoryId)!, Number(score.toFixed(4)), ...rounded(bbox)];
  }
}

const NO_BOX = boxXywh(0, 0, 0, 0);

function rounded([x, y, width, height]: BoxXywh) {
  return [keptPixels(x), keptPixels(y), keptPixels(width), keptPixels(height)] as const;
}
