// How much detections and ground truth of one group overlap: IoU of boxes or of masks, or keypoint similarity.
import { type BoxXywh, boxXywh } from '../boxes/box.js';
import { InputError } from '../errors/input-error.js';
import type { Annotation, Detection, ImageRecord, Segmentation } from '../formats/dataset.js';
import { intersectionArea } from '../masks/mask-iou.js';
import { boxToRle, polygonsToRle } from '../masks/polygon-to-rle.js';
import { type Rle, rleArea } from '../masks/rle.js';
import { rleToBbox } from '../masks/rle-to-bbox.js';
import type { CocoParams, IouType } from './coco-params.js';
import { keypointArea, keypointBox, keypointSimilarity } from './keypoint-similarity.js';

/** Measures one kind of overlap, group after group. */
export interface OverlapMeasure {
  /**
   * Writes the overlap of detection d with ground truth g to `out[d * truths.length + g]` and the detections' areas in
   * square pixels to `areas`. Overlaps that are sure to be below every threshold may be written as 0.
   */
  measure(
    detections: readonly Detection[],
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
        measure(detections, truths, image, out, areas) {
          detections.forEach((detection, d) => {
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

function measureBoxes(
  detections: readonly Detection[],
  truths: readonly Annotation[],
  image: ImageRecord,
  out: Float64Array,
  areas: Float64Array,
): void {
  for (let d = 0; d < detections.length; d++) {
    const detection = detections[d]!;
    areas[d] = detectionArea(detection, image);
    if (truths.length === 0) continue;
    const box = detectionBox(detection, image);
    const area = box[2] * box[3];
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
  return {
    measure(detections, truths, image, out, areas) {
      const truthMasks = detections.length === 0 ? [] : truths.map((truth) => boundedMask(truthMask(truth, image)));
      for (let d = 0; d < detections.length; d++) {
        const detection = detections[d]!;
        const isByBox = params.segmArea === 'box-first' && detection.bbox !== undefined;
        if (isByBox) areas[d] = detectionArea(detection, image);
        if (isByBox && truths.length === 0) continue;
        const mask = boundedMask(detectionMask(detection, image));
        if (!isByBox) areas[d] = mask.area;
        for (let g = 0; g < truths.length; g++) {
          out[d * truths.length + g] = maskOverlap(mask, truthMasks[g]!, truths[g]!.isCrowd, enough, truths.length > 1);
        }
      }
    },
  };
}

interface BoundedMask {
  readonly rle: Rle;
  readonly area: number;
  /** First and last column; the mask may be narrower. */
  readonly left: number;
  readonly right: number;
  /** Made when first needed. */
  box: BoxXywh | undefined;
}

function boundedMask(rle: Rle): BoundedMask {
  const [height, width] = rle.size;
  const { counts } = rle;
  const left = Math.floor((counts[0] ?? 0) / height);
  const zerosAtEnd = counts.length % 2 === 1 ? counts[counts.length - 1]! : 0;
  const right = Math.floor((height * width - zerosAtEnd - 1) / height);
  return { rle, area: rleArea(rle), left, right, box: undefined };
}

// IoU of two masks, or 0 where bounds show that it is below `enough`: most pairs end there, without a walk over their runs.
function maskOverlap(a: BoundedMask, b: BoundedMask, isCrowd: boolean, enough: number, useBoxes: boolean): number {
  const isTooLittle = (shared: number) => shared / (isCrowd ? a.area : a.area + b.area - shared) < enough;
  let most = Math.min(a.area, b.area);
  if (most === 0 || a.left > b.right || b.left > a.right || isTooLittle(most)) return 0;
  if (a.rle.size[0] !== b.rle.size[0] || a.rle.size[1] !== b.rle.size[1]) return -1;
  if (useBoxes) {
    // A box costs as much as one walk over both masks: it pays where it serves several pairs.
    a.box ??= rleToBbox(a.rle);
    b.box ??= rleToBbox(b.rle);
    most = Math.min(most, sharedArea(a.box, b.box));
    if (most === 0 || isTooLittle(most)) return 0;
  }
  const shared = intersectionArea(a.rle.counts, b.rle.counts);
  return shared === 0 ? 0 : shared / (isCrowd ? a.area : a.area + b.area - shared);
}

function sharedArea(a: BoxXywh, b: BoxXywh): number {
  const width = Math.min(a[0] + a[2], b[0] + b[2]) - Math.max(a[0], b[0]);
  if (!(width > 0)) return 0;
  const height = Math.min(a[1] + a[3], b[1] + b[3]) - Math.max(a[1], b[1]);
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
