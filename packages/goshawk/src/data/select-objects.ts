// Which objects of a data set a training learns from, and why it leaves out the others.
import {
  type Annotation,
  type DataIssueCode,
  type DataIssueList,
  type Dataset,
  type ImageRecord,
  rleArea,
} from '@goshawk/core';
import { vanishingShare } from './box-area.js';

/** What of the annotations a model learns from. */
export interface ObjectNeeds {
  /** Read masks into the targets; objects without one are left out. Default false. */
  readonly masks?: boolean;
  /** Read polygons into the targets, for models that rasterise them inside of boxes. Default false. */
  readonly polygons?: boolean;
  /** Leave out crowd regions. Default true: they are no single objects to learn. */
  readonly dropCrowds?: boolean;
  /** Leave out objects marked difficult, as Detectron and maskrcnn-benchmark do in training. Default true. */
  readonly dropDifficult?: boolean;
  /** Leave out objects whose box, clipped to the picture, has a side of at most this many pixels. Default 0. */
  readonly minBoxSize?: number;
  /** Boxes hold their last pixel, and only those of more than one pixel a side are learned (Detectron). Default false. */
  readonly legacyPlusOne?: boolean;
}

/** Why an object is left out. */
export type LeftOutCode = Extract<
  DataIssueCode,
  'crowd' | 'difficult' | 'box-vanishes' | 'box-small' | 'mask-missing' | 'box-degenerate' | 'box-outside'
>;

/** Undefined where a training learns from the object. */
export function leftOutBecause(
  annotation: Annotation,
  image: Pick<ImageRecord, 'width' | 'height'>,
  needs: ObjectNeeds,
): LeftOutCode | undefined {
  const { dropCrowds = true, dropDifficult = true, minBoxSize = 0, legacyPlusOne = false } = needs;
  if (annotation.isCrowd && dropCrowds) return 'crowd';
  if (annotation.isDifficult && dropDifficult) return 'difficult';
  const side = clippedSide(annotation, image);
  if (side <= minBoxSize && minBoxSize > 0) return 'box-small';
  if (side <= Math.max(image.width, image.height) * vanishingShare) return 'box-vanishes';
  if (legacyPlusOne && !hasLegacyArea(annotation, image)) return 'box-small';
  if ((needs.masks || needs.polygons) && !hasMask(annotation)) return 'mask-missing';
  return undefined;
}

export interface SelectedObjects {
  readonly byImage: ReadonlyMap<number, readonly Annotation[]>;
  /** How many are left out, by reason. */
  readonly leftOut: Readonly<Partial<Record<LeftOutCode, number>>>;
}

/** The objects that are learned, by image id; each reason for leaving some out is one issue. */
export function selectObjects(
  dataset: Dataset,
  needs: ObjectNeeds & { readonly purpose: 'training' | 'evaluation' },
  issues: DataIssueList,
): SelectedObjects {
  const byImage = new Map<number, Annotation[]>(dataset.images.map((image) => [image.id, []]));
  const imageOf = new Map(dataset.images.map((image) => [image.id, image]));
  const ids = new Map<LeftOutCode, number[]>();
  for (const annotation of dataset.annotations) {
    const code = leftOutBecause(annotation, imageOf.get(annotation.imageId)!, needs);
    if (code === undefined) {
      byImage.get(annotation.imageId)!.push(annotation);
      continue;
    }
    const own = ids.get(code);
    if (own === undefined) ids.set(code, [annotation.id]);
    else own.push(annotation.id);
  }
  for (const [code, own] of ids)
    issues.byRule(code, needs.purpose, '', sentence(code, own, dataset.annotations.length));
  return { byImage, leftOut: Object.fromEntries([...ids].map(([code, own]) => [code, own.length])) };
}

function sentence(code: LeftOutCode, ids: readonly number[], all: number): string {
  const be = ids.length === 1 ? 'is' : 'are';
  const which = `${ids.length} of ${all} objects (annotation ${ids.length === 1 ? 'id' : 'ids'} ${listFirst(ids)})`;
  return `${which} ${be} left out of training, ${reasons[code].long}: ${reasons[code].remedy}`;
}

/** In words: of one reason among others, of objects in a sentence, and what may be done. */
export const reasons: Readonly<Record<LeftOutCode, { short: string; long: string; remedy: string }>> = {
  crowd: {
    short: 'crowd (iscrowd 1)',
    long: 'marked as crowd (iscrowd 1)',
    remedy: 'where they are single objects, the export is wrong: set iscrowd to 0',
  },
  difficult: {
    short: 'marked difficult',
    long: 'marked difficult',
    remedy: 'remove the mark from those that are to be learned',
  },
  'box-degenerate': {
    short: 'with a box without area',
    long: 'with a box without area',
    remedy: 'correct or remove them',
  },
  'box-outside': {
    short: 'outside of the picture',
    long: 'wholly outside of their picture',
    remedy: 'correct or remove them',
  },
  'box-vanishes': {
    short: 'with a box that has no area in float32',
    long: 'with a box that has no area in the numbers of the network (float32)',
    remedy: 'correct or remove them',
  },
  'box-small': {
    short: 'with a box that is too small for the conventions',
    long: 'with a box that is too small for the conventions of the model',
    remedy: 'correct or remove them',
  },
  'mask-missing': {
    short: 'without a mask',
    long: 'without a mask (segmentation)',
    remedy: 'draw their polygons, or learn boxes alone with a model of type faster_rcnn',
  },
};

/** The shorter side of the box within its picture, pixels; negative where it lies outside. */
function clippedSide({ bbox }: Annotation, image: Pick<ImageRecord, 'width' | 'height'>): number {
  const [x, y, width, height] = bbox;
  return Math.min(
    Math.min(x + width, image.width) - Math.max(x, 0),
    Math.min(y + height, image.height) - Math.max(y, 0),
  );
}

/** As Detectron's json_dataset.py keeps objects: by their area, and the box between the middles of its outer pixels. */
function hasLegacyArea({ area, bbox }: Annotation, image: Pick<ImageRecord, 'width' | 'height'>): boolean {
  const [x, y, width, height] = bbox;
  const side = (from: number, length: number, end: number): number => {
    const clip = (value: number): number => Math.min(Math.max(value, 0), end - 1);
    return clip(from + Math.max(0, length - 1)) - clip(from);
  };
  const shorter = Math.min(side(x, width, image.width), side(y, height, image.height));
  return area > 0 && shorter > Math.max(image.width, image.height) * vanishingShare;
}

/** Whether a mask covers anything. */
export function hasMask({ segmentation }: Annotation): boolean {
  if (segmentation === undefined) return false;
  if (segmentation.kind === 'rle') return rleArea(segmentation.rle) > 0;
  return segmentation.polygons.length > 0;
}

export function listFirst(ids: readonly number[]): string {
  return ids.length > 5 ? `${ids.slice(0, 5).join(', ')}, ...` : ids.join(', ');
}
