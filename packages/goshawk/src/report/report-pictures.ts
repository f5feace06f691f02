// Which objects and detections a report keeps of each picture, and how lists name them.
import {
  type Annotation,
  type BoxXywh,
  boxXywh,
  type Dataset,
  type Detection,
  type ImageRecord,
  type OverlappingPicture,
  type PictureOverlaps,
} from '@goshawk/core';
import { maskPath } from './mask-paths.js';
import { keptPixels } from './page/box-measures.js';
import { DetectionPacker } from './page/packed-detections.js';
import type { DetectionData, ObjectData, PackedDetections, Pair, StoredPicture } from './page/report-data.js';

/** What an analysis counts: an object, a detection, or both together. */
export interface Counted {
  readonly image: ImageRecord;
  readonly object?: Annotation;
  readonly detection?: Detection;
}

// So many detections of all pictures together open in a second. Where there are more, the surest.
const MOST_DETECTIONS = 200_000;
const LOWEST_SCORE = 0.05;
// Of masks: of all pictures together, and of a detection.
const MOST_PATH_LETTERS = 6_000_000;
const LOWEST_MASK_SCORE = 0.2;

export interface ReportPicturesParts {
  readonly dataset: Dataset;
  readonly detections: readonly Detection[];
  readonly counted: Iterable<Counted>;
  /** Empty where nothing is compared. */
  readonly overlapping: readonly OverlappingPicture[];
  readonly mostDetections?: number;
}

export class ReportPictures {
  readonly #dataset: Dataset;
  readonly #category: ReadonlyMap<number, number>;
  readonly #picture: ReadonlyMap<number, number>;
  readonly #objects: readonly (readonly Annotation[])[];
  readonly #detections: readonly (readonly Detection[])[];
  /** Places of kept objects and detections within their picture. */
  readonly #places = new Map<Annotation | Detection, number>();

  readonly #overlaps: ReadonlyMap<number, OverlappingPicture>;
  /** From this score on, a hundredth, all detections are kept. */
  readonly lowestScore: number;

  /** @param counted whose detections are kept in any case */
  constructor({ dataset, detections, counted, overlapping, mostDetections = MOST_DETECTIONS }: ReportPicturesParts) {
    this.#dataset = dataset;
    const categories = [...dataset.categories].sort((a, b) => a.id - b.id);
    this.#category = new Map(categories.map(({ id }, index) => [id, index]));
    this.#picture = new Map(dataset.images.map(({ id }, index) => [id, index]));
    this.#objects = this.#byPicture(dataset.annotations);
    this.#overlaps = new Map(overlapping.map((one) => [one.image.id, one]));
    const needed = new Set<Detection>();
    for (const { detection } of counted) if (detection) needed.add(detection);
    const own = this.#byPicture(detections);
    this.lowestScore = lowestScore(own, mostDetections);
    this.#detections = own.map((list) =>
      [...list].sort((a, b) => b.score - a.score).filter((one) => needed.has(one) || one.score >= this.lowestScore),
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
  data(fileOf: (image: ImageRecord) => string | undefined): StoredPicture[] {
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
        ...(objectMasks.length > 0 && { objectMasks }),
        ...(detectionMasks.length > 0 && { detectionMasks }),
      };
    });
  }

  /** What was found in each picture, as the page unpacks it. */
  packed(): PackedDetections {
    const packer = new DetectionPacker();
    this.#dataset.images.forEach(({ id }, index) => {
      const kept = this.#detections[index]!;
      const overlaps = keptOverlaps(kept, this.#overlaps.get(id));
      packer.add({ detections: kept.map((one) => this.#detection(one)), overlaps });
    });
    const { found, boxes } = packer.bytes();
    return { found: Buffer.from(found).toString('base64'), boxes: Buffer.from(boxes).toString('base64') };
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
    return [this.#category.get(categoryId)!, score, ...rounded(bbox)];
  }
}

/** The first hundredth from which on there are not too many. */
function lowestScore(detections: readonly (readonly Detection[])[], most: number): number {
  const scores = detections.flatMap((list) => list.flatMap(({ score }) => (score >= LOWEST_SCORE ? [score] : [])));
  if (scores.length <= most) return LOWEST_SCORE;
  const [firstLeft] = Float64Array.from(scores)
    .sort()
    .subarray(scores.length - most - 1);
  return Math.min(1, (Math.floor(firstLeft! * 100) + 1) / 100);
}

/** What of the overlaps of all detections is of the kept ones. */
function keptOverlaps(kept: readonly Detection[], picture: OverlappingPicture | undefined): PictureOverlaps {
  const rank = new Map(picture?.detections.map((one, d) => [one, d]));
  const { overlaps } = picture ?? {};
  const nearStart = [0];
  const nearObject: number[] = [];
  const nearIou: number[] = [];
  const crowdShare: number[] = [];
  for (const one of kept) {
    const d = rank.get(one);
    if (overlaps !== undefined && d !== undefined)
      for (let place = overlaps.nearStart[d]!; place < overlaps.nearStart[d + 1]!; place++) {
        nearObject.push(overlaps.nearObject[place]!);
        nearIou.push(overlaps.nearIou[place]!);
      }
    nearStart.push(nearObject.length);
    crowdShare.push((d !== undefined && overlaps?.crowdShare[d]) || 0);
  }
  const score = kept.map((one) => one.score);
  return { objects: overlaps?.objects ?? 0, score, nearStart, nearObject, nearIou, crowdShare };
}

const NO_BOX = boxXywh(0, 0, 0, 0);

function rounded([x, y, width, height]: BoxXywh) {
  return [keptPixels(x), keptPixels(y), keptPixels(width), keptPixels(height)] as const;
}
