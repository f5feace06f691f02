// How much detections and ground truth of one group overlap: IoU of boxes or of masks, or keypoint similarity.
import { type BoxXywh, boxXywh } from '../boxes/box.js';
import { InputError } from '../errors/input-error.js';
import type { Annotation, Detection, ImageRecord, Segmentation } from '../formats/dataset.js';
import { type PackedMask, unpackMask } from '../formats/packed-detections.js';
import { intersectionArea } from '../masks/mask-iou.js';
import { boxToRle, polygonsToRle } from '../masks/polygon-to-rle.js';
import { type Rle, rleArea } from '../masks/rle.js';
import { rleToBbox } from '../masks/rle-to-bbox.js';
import type { CocoParams, IouType } from './coco-params.js';
import type { DetectionColumns } from './detection-columns.js';
import { keypointArea, keypointBox, keypointSimilarity } from './keypoint-similarity.js';

/** Detections to be measured: some of many. */
export interface MeasuredDetections {
  readonly columns: DetectionColumns;
  /** Which. */
  readonly items: Uint32Array;
}

/** Measures one kind of overlap, group after group. */
export interface OverlapMeasure {
  /**
   * Writes the overlap of detection d with ground truth g to `out[d * truths.length + g]` and the detections' areas in
   * square pixels to `areas`. Overlaps that are sure to be below every threshold may be written as 0.
   */
  measure(
    detections: MeasuredDetections,
    truths: readonly Annotation[],
    image: ImageRecord,
    out: Float64Array,
    areas: Float64Array,
  ): void;
}

/** The measure for an evaluation. */
export function overlapMeasure(iouType: IouType, params: CocoParams): OverlapMeasure {
  switch (iouType) {
    case 'bbox':
      return { measure: measureBoxes };
    case 'segm':
      return maskMeasure(params);
    case 'keypoints':
      return {
        measure({ columns, items }, truths, image, out, areas) {
          items.forEach((item, d) => {
            const detection = columns.at(item);
            areas[d] = detectionArea(detection, image);
            truths.forEach((truth, g) => {
              out[d * truths.length + g] = keypointSimilarity(detection, truth, params.oksSigmas);
            });
          });
        },
      };
  }
}

/**
 * The area that pycocotools' loadRes gives a detection: of its box, else of its mask, else of the box around its keypoints.
 */
function detectionArea(detection: Detection, image: ImageRecord): number {
  const { bbox, segmentation, keypoints } = detection;
  if (bbox) return bbox[2] * bbox[3];
  if (segmentation) return rleArea(segmentationToRle(segmentation, image, 'detection'));
  return keypoints ? keypointArea(keypoints) : 0;
}

function detectionBox(detection: Detection, image: ImageRecord): BoxXywh {
  const { bbox, segmentation, keypoints } = detection;
  if (bbox) return bbox;
  if (segmentation) return rleToBbox(segmentationToRle(segmentation, image, 'detection'));
  return keypoints ? keypointBox(keypoints) : boxXywh(0, 0, 0, 0);
}

const box = new Float64Array(4);

function measureBoxes(
  { columns, items }: MeasuredDetections,
  truths: readonly Annotation[],
  image: ImageRecord,
  out: Float64Array,
  areas: Float64Array,
): void {
  for (let d = 0; d < items.length; d++) {
    const item = items[d]!;
    if (columns.box(item, box)) areas[d] = box[2]! * box[3]!;
    else {
      const detection = columns.at(item);
      areas[d] = detectionArea(detection, image);
      if (truths.length > 0) box.set(detectionBox(detection, image));
    }
    const area = box[2]! * box[3]!;
    for (let g = 0; g < truths.length; g++) {
      const truth = truths[g]!;
      const shared = sharedArea(box, truth.bbox);
      const union = truth.isCrowd ? area : area + truth.bbox[2] * truth.bbox[3] - shared;
      out[d * truths.length + g] = shared > 0 ? shared / union : 0;
    }
  }
}

function maskMeasure(params: CocoParams): OverlapMeasure {
  // A little below the lowest threshold, for the rounding of the estimate.
  const enough = Math.min(...params.iouThresholds) * (1 - 1e-9);
  // A detection's run lengths are needed no longer than its row: most masks would cost an allocation otherwise.
  let room = new Uint32Array(1024);
  const unpacked = (mask: PackedMask): Rle => {
    if (room.length < mask.runs) room = new Uint32Array(2 * mask.runs);
    return unpackMask(mask, room);
  };
  return {
    measure({ columns, items }, truths, image, out, areas) {
      const truthMasks = items.length === 0 ? [] : truths.map((truth) => boundedMask(truthMask(truth, image)));
      for (let d = 0; d < items.length; d++) {
        const item = items[d]!;
        const isByBox = params.segmArea === 'box-first' && columns.box(item, box);
        if (isByBox) areas[d] = box[2]! * box[3]!;
        if (isByBox && truths.length === 0) continue;
        const packed = columns.packedMask(item);
        if (packed && !isByBox) areas[d] = packed.area;
        if (packed && truths.length === 0) continue;
        const mask = packed
          ? new BoundedMask(packed, () => unpacked(packed))
          : boundedMask(detectionMask(columns.at(item), image));
        if (!isByBox) areas[d] = mask.area;
        for (let g = 0; g < truths.length; g++) {
          out[d * truths.length + g] = maskOverlap(mask, truthMasks[g]!, truths[g]!.isCrowd, enough, truths.length > 1);
        }
      }
    },
  };
}

/** A mask that shows its bounds without its run lengths. */
class BoundedMask {
  readonly height: number;
  readonly width: number;
  readonly area: number;
  /** First and last column; the mask may be narrower. */
  readonly left: number;
  readonly right: number;
  private readonly unpack: () => Rle;
  private unpackedRle: Rle | undefined;
  private boxAround: BoxXywh | undefined;

  constructor({ height, width, area, before, behind }: MaskBounds, unpack: () => Rle) {
    this.height = height;
    this.width = width;
    this.area = area;
    this.left = Math.floor(before / height);
    this.right = Math.floor((height * width - behind - 1) / height);
    this.unpack = unpack;
  }

  get rle(): Rle {
    this.unpackedRle ??= this.unpack();
    return this.unpackedRle;
  }

  get box(): BoxXywh {
    this.boxAround ??= rleToBbox(this.rle);
    return this.boxAround;
  }
}

type MaskBounds = Pick<PackedMask, 'height' | 'width' | 'area' | 'before' | 'behind'>;

function boundedMask(rle: Rle): BoundedMask {
  const { counts } = rle;
  const [height, width] = rle.size;
  const before = counts[0] ?? 0;
  const behind = counts.length % 2 === 1 ? counts[counts.length - 1]! : 0;
  return new BoundedMask({ height, width, area: rleArea(rle), before, behind }, () => rle);
}

// IoU of two masks, or 0 where bounds show that it is below `enough`: most pairs end there, without a walk over their runs.
function maskOverlap(a: BoundedMask, b: BoundedMask, isCrowd: boolean, enough: number, useBoxes: boolean): number {
  const isTooLittle = (shared: number) => shared / (isCrowd ? a.area : a.area + b.area - shared) < enough;
  let most = Math.min(a.area, b.area);
  if (most === 0 || a.left > b.right || b.left > a.right || isTooLittle(most)) return 0;
  if (a.height !== b.height || a.width !== b.width) return -1;
  if (useBoxes) {
    // A box costs as much as one walk over both masks: it pays where it serves several pairs.
    most = Math.min(most, sharedArea(a.box, b.box));
    if (most === 0 || isTooLittle(most)) return 0;
  }
  const shared = intersectionArea(a.rle.counts, b.rle.counts);
  return shared === 0 ? 0 : shared / (isCrowd ? a.area : a.area + b.area - shared);
}

function sharedArea(a: ArrayLike<number>, b: BoxXywh): number {
  const width = Math.min(a[0]! + a[2]!, b[0] + b[2]) - Math.max(a[0]!, b[0]);
  if (!(width > 0)) return 0;
  const height = Math.min(a[1]! + a[3]!, b[1] + b[3]) - Math.max(a[1]!, b[1]);
  return height > 0 ? width * height : 0;
}

function truthMask(truth: Annotation, image: ImageRecord): Rle {
  // The table has checked that there is one.
  const segmentation = truth.segmentation ?? { kind: 'polygons', polygons: [] };
  return segmentationToRle(segmentation, image, `annotation ${truth.id}`);
}

function detectionMask(detection: Detection, image: ImageRecord): Rle {
  const { segmentation, bbox } = detection;
  if (segmentation) return segmentationToRle(segmentation, image, 'detection');
  // As loadRes: a detection without a mask is its box. The table has checked that it has one of the two.
  return boxToRle(bbox ?? boxXywh(0, 0, 0, 0), [image.height, image.width]);
}

export function segmentationToRle(segmentation: Segmentation, image: ImageRecord, where: string): Rle {
  if (segmentation.kind === 'rle') return segmentation.rle;
  try {
    return polygonsToRle(segmentation.polygons, [image.height, image.width]);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(error.code, `${where} in image ${image.id}: ${error.message}`, { cause: error });
  }
}
