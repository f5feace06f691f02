// What the mask head learns: each object's mask inside the proposals that found it.
import { cropMaskTargets, ops, type Tensor, tensor } from '@goshawk/torch';
import type { Conventions } from '../conventions.js';
import { atLeastSingle, binaryCrossEntropyMean } from '../losses.js';
import { type HeightWidth, type MaskTargets, requiredPart, type Scale, type Targets } from '../structures.js';
import { maskPolygons } from './mask-polygons.js';
import { resizeMasksInside } from './mask-resize.js';

export interface MaskSample {
  /** [P, 4] xyxy proposals, network pixels. */
  readonly proposals: Tensor;
  /** [P] int64: each one's object. */
  readonly objects: Tensor;
  readonly masks: MaskTargets;
  /** Of the image without padding, at whose border the masks end. */
  readonly size: HeightWidth;
}

/** Mean binary cross entropy between [sum of P, M, M] logits and as many goals of 0 and 1. */
export function maskLoss(logits: Tensor, goals: Tensor): Tensor {
  return binaryCrossEntropyMean(atLeastSingle(logits), goals);
}

/** The positives of one image. */
export interface PositiveRois {
  /** [P, 4] xyxy in network pixels. */
  readonly rois: Tensor;
  /** [P, 4] the same in the pixels that the conventions measure the second stage in. */
  readonly boxes: Tensor;
  /** [P] int64: each one's object. */
  readonly objects: Tensor;
  readonly target: Targets;
  /** Of the image without padding, in network pixels. */
  readonly size: HeightWidth;
  readonly scale: Scale;
}

/** [sum of P, M, M] float32 goals of 0 and 1 (cropped: 0 to 1), as the conventions make them. */
export function maskGoals(positives: readonly PositiveRois[], resolution: number, conventions: Conventions): Tensor {
  if (conventions.maskTargets === 'polygons' || conventions.maskTargets === 'own_polygons') {
    const isOwn = conventions.maskTargets === 'own_polygons';
    return ops.cat(
      positives.map(({ boxes, objects, target, scale }) => {
        const polygons = requiredPart(target, 'polygons');
        const measured = conventions.secondStage === 'network' ? polygons : polygonsToImage(polygons, scale);
        return drawnMasks(boxes, measured, resolution, isOwn ? objects : undefined);
      }),
    );
  }
  const samples = positives.map(({ rois, objects, target, size }) => ({
    proposals: rois,
    objects,
    masks: requiredPart(target, 'masks'),
    size,
  }));
  return conventions.maskTargets === 'cropped' ? croppedMasks(samples, resolution) : resizedMasks(samples, resolution);
}

/** Polygons of network pixels in image pixels. */
export function polygonsToImage(objects: readonly Polygons[], { x, y }: Scale): Polygons[] {
  return objects.map((object) => object.map((polygon) => polygon.map((value, i) => value / (i % 2 === 0 ? x : y))));
}

/** [sum of P, M, M] float32: the objects' masks cut to the proposals (torchvision's rule). */
export function croppedMasks(samples: readonly MaskSample[], resolution: number): Tensor {
  const goals = samples.map(({ proposals, objects, masks, size }) =>
    cropMaskTargets(masks.pixels, masks.crops, proposals, objects, {
      imageHeight: size[0],
      imageWidth: size[1],
      resolution,
    }),
  );
  return ops.cat(goals);
}

/** One object's polygons, x and y by turns. */
export type Polygons = readonly Float64Array[];

/**
 * [P, M, M] float32 for [P, 4] xyxy boxes: the polygons of one object, drawn inside the box by COCO's rasteriser
 * (Detectron's polys_to_mask_wrt_box; crop and resize of maskrcnn-benchmark's polygons).
 * @param own [P] int64: each box's object. Absent: the one whose outline's bounding box overlaps the box most (Detectron's
 *   add_mask_rcnn_blobs)
 */
export function drawnMasks(boxes: Tensor, objects: readonly Polygons[], resolution: number, own?: Tensor): Tensor {
  const corners = boxes.toFloat32Array();
  const pixels = maskPolygons(corners, objects, resolution, own?.toNumbers());
  return tensor(pixels, { shape: [corners.length / 4, resolution, resolution], device: boxes.device });
}

/**
 * [sum of P, M, M] float32: the whole pixels of the objects' masks inside the proposals, resized as OpenCV resizes bytes, so
 * that a cell is 0 or 1 (mmdetection 1's mask_target.py).
 */
export function resizedMasks(samples: readonly MaskSample[], resolution: number): Tensor {
  const goals = samples.map(({ proposals, objects, masks }) => {
    const goal = resizeMasksInside(
      proposals.toFloat32Array(),
      objects.toNumbers(),
      masks.pixels.toTypedArray() as Uint8Array,
      masks.crops.toNumbers(),
      resolution,
    );
    return tensor(goal, { shape: [proposals.size(0), resolution, resolution], device: proposals.device });
  });
  return ops.cat(goals);
}
