// Average recall of class-agnostic proposals (Hosang et al. 2015), by Detectron's rules (datasets/json_dataset_evaluator.py,
// evaluate_box_proposals): in each picture the object that is covered best takes its proposal, and so on with the rest.
import { type BoxXywh, boxXywh } from '../boxes/box.js';
import { InputError } from '../errors/input-error.js';
import type { Annotation, Dataset, ImageRecord } from '../formats/dataset.js';
import { type AreaRange, cocoAreaRanges } from './coco-params.js';

/** The proposals of one picture. */
export interface ImageProposals {
  readonly imageId: number;
  /** n x 4: x, y, width, height in image pixels, best first. */
  readonly boxes: Float32Array | Float64Array;
}

export interface ProposalRecallInput {
  readonly groundTruth: Dataset;
  /** In any order; a picture without an entry has no proposals. */
  readonly proposals: readonly ImageProposals[];
  /** Numbers of proposals a picture that are looked at. Default 100 and 1000. */
  readonly limits?: readonly number[];
  /** Sizes of objects, by the annotations' areas. Default COCO's all, small, medium, large. */
  readonly areaRanges?: readonly AreaRange[];
}

export interface ProposalRecall {
  readonly area: string;
  readonly limit: number;
  /** Mean of `recalls`; -1 where there are no objects. */
  readonly averageRecall: number;
  /** Share of objects covered with at least an IoU of 0.5, 0.55, ..., 0.95. */
  readonly recalls: readonly number[];
  /** Objects of this size. */
  readonly objects: number;
}

const THRESHOLDS = Array.from({ length: 10 }, (_, i) => 0.5 + i * 0.05);

/**
 * Recall for each limit and size of objects, limits first. Crowds are not looked for, nor objects that, cut to their
 * picture, are no wider or higher than one pixel.
 * @throws InputError where a picture of `proposals` is not in the ground truth or comes twice
 */
export function evaluateProposals(input: ProposalRecallInput): ProposalRecall[] {
  const { groundTruth, limits = [100, 1000], areaRanges = cocoAreaRanges } = input;
  const objectsOf = countedObjects(groundTruth);
  const boxesOf = boxesByImage(input.proposals, groundTruth);
  const results = limits.flatMap((limit) =>
    areaRanges.map((range) => ({ limit, range, objects: 0, covered: THRESHOLDS.map(() => 0) })),
  );
  const none = new Float32Array(0);
  for (const [imageId, objects] of objectsOf) {
    const boxes = boxesOf.get(imageId) ?? none;
    const count = boxes.length / 4;
    const overlaps = overlapRows(objects, boxes);
    for (const result of results) {
      const { min, max } = result.range;
      const rows = overlaps.filter((_, index) => objects[index]!.area >= min && objects[index]!.area <= max);
      result.objects += rows.length;
      for (const overlap of bestCovers(rows, Math.min(count, result.limit))) {
        THRESHOLDS.forEach((threshold, i) => {
          if (overlap >= threshold) result.covered[i]! += 1;
        });
      }
    }
  }
  return results.map(({ limit, range, objects, covered }) => {
    const recalls = covered.map((number) => (objects === 0 ? -1 : number / objects));
    const averageRecall = recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length;
    return { area: range.name, limit, averageRecall, recalls, objects };
  });
}

/** Named as Detectron's table: AR@100, ARs@100, ARm@100, ARl@100, AR@1000, ... */
export function proposalRecallStats(results: readonly ProposalRecall[]): Record<string, number> {
  return Object.fromEntries(
    results.map(({ area, limit, averageRecall }) => [`AR${area === 'all' ? '' : area[0]}@${limit}`, averageRecall]),
  );
}

/** One line a number, laid out like COCO's table. */
export function formatProposalTable(results: readonly ProposalRecall[]): string {
  const width = Math.max(...results.map(({ limit }) => String(limit).length));
  return results
    .map(
      ({ area, limit, averageRecall }) =>
        ` Average Recall     (AR) @[ IoU=0.50:0.95 | area=${area.padStart(6)} | proposals=${String(limit).padStart(width)} ] = ${averageRecall.toFixed(3)}`,
    )
    .join('\n');
}

interface CountedObject {
  readonly box: BoxXywh;
  readonly area: number;
}

function countedObjects(groundTruth: Dataset): Map<number, CountedObject[]> {
  const images = new Map(groundTruth.images.map((image) => [image.id, image]));
  const objects = new Map<number, CountedObject[]>();
  for (const annotation of groundTruth.annotations) {
    const image = images.get(annotation.imageId);
    const box = image && countedBox(annotation, image);
    if (!box) continue;
    const object = { box, area: annotation.area };
    const others = objects.get(annotation.imageId);
    if (others) others.push(object);
    else objects.set(annotation.imageId, [object]);
  }
  return objects;
}

function countedBox({ bbox, area, isCrowd }: Annotation, image: ImageRecord): BoxXywh | undefined {
  const [x, y, width, height] = bbox;
  const [left, top] = [Math.max(0, x), Math.max(0, y)];
  const clippedWidth = Math.min(x + width, image.width) - left;
  const clippedHeight = Math.min(y + height, image.height) - top;
  if (isCrowd || !(area > 0) || !(clippedWidth > 1) || !(clippedHeight > 1)) return undefined;
  return boxXywh(left, top, clippedWidth, clippedHeight);
}

function boxesByImage(
  proposals: readonly ImageProposals[],
  groundTruth: Dataset,
): Map<number, ImageProposals['boxes']> {
  const known = new Set(groundTruth.images.map((image) => image.id));
  const boxes = new Map<number, ImageProposals['boxes']>();
  for (const { imageId, boxes: own } of proposals) {
    if (!known.has(imageId))
      throw new InputError(
        'annotation-invalid',
        `proposals: image id ${imageId} is not in the annotations: evaluate on the data that they were made for`,
      );
    if (boxes.has(imageId))
      throw new InputError('annotation-invalid', `proposals: image id ${imageId} comes twice: keep one list an image`);
    boxes.set(imageId, own);
  }
  return boxes;
}

/** For each object its IoU with every box. */
function overlapRows(objects: readonly CountedObject[], boxes: ImageProposals['boxes']): Float64Array[] {
  const count = boxes.length / 4;
  return objects.map(({ box: [x, y, width, height] }) => {
    const row = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const [bx, by, bw, bh] = [boxes[i * 4]!, boxes[i * 4 + 1]!, boxes[i * 4 + 2]!, boxes[i * 4 + 3]!];
      const sharedWidth = Math.min(x + width, bx + bw) - Math.max(x, bx);
      if (!(sharedWidth > 0)) continue;
      const sharedHeight = Math.min(y + height, by + bh) - Math.max(y, by);
      if (!(sharedHeight > 0)) continue;
      const shared = sharedWidth * sharedHeight;
      row[i] = shared / (width * height + bw * bh - shared);
    }
    return row;
  });
}

/** The IoUs of a one-to-one cover that takes the best pair again and again, among the first `count` boxes. */
function bestCovers(rows: readonly Float64Array[], count: number): number[] {
  const used = new Uint8Array(count);
  const best = rows.map((row) => bestUnused(row, used));
  const covers: number[] = [];
  const left = new Set(rows.keys());
  for (let turn = Math.min(count, rows.length); turn > 0; turn--) {
    let chosen = -1;
    for (const index of left) {
      if (chosen < 0 || rows[index]![best[index]!]! > rows[chosen]![best[chosen]!]!) chosen = index;
    }
    const box = best[chosen]!;
    covers.push(rows[chosen]![box]!);
    left.delete(chosen);
    used[box] = 1;
    for (const index of left) if (best[index] === box) best[index] = bestUnused(rows[index]!, used);
  }
  return covers;
}

function bestUnused(row: Float64Array, used: Uint8Array): number {
  let best = -1;
  for (let i = 0; i < used.length; i++) {
    if (used[i] === 0 && (best < 0 || row[i]! > row[best]!)) best = i;
  }
  return best;
}
