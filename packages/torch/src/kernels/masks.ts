// Instance masks on their way out of the network (into run lengths) and into it (as training targets);
// the kernels are native/kernels/masks-to-rle.cc, grid-masks-to-rle.cc and
// crop-mask-targets.cc.
import { tensor } from '../tensor/create.js';
import { callOp, callTensorOp } from '../tensor/dispatch.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';

export interface MasksToRleOptions {
  /** Of the image that the boxes lie in, pixels. */
  readonly height: number;
  readonly width: number;
  /** Default 0.5. */
  readonly threshold?: number;
  /** Keep probabilities > threshold, as Detectron and its descendants; default false: >= threshold. */
  readonly strict?: boolean;
  /** Cells of zeros put around each mask before it is resized, its box growing alike. Default 1; mmdetection 1: 0. */
  readonly padding?: number;
}

/**
 * Resizes each mask to its box and returns it as COCO run lengths of the whole image: columns first, zeros first.
 * @param masks [N, M, M] probabilities
 * @param boxes [N, 4] xyxy in image pixels; one that is not finite gives an empty mask
 * @returns N lists of run lengths, each adding up to height * width
 */
export function masksToRle(masks: Tensor, boxes: Tensor, options: MasksToRleOptions): Uint32Array[] {
  const { height, width, threshold = 0.5, strict = false, padding = 1 } = options;
  return scope(() => {
    const result = callOp('goshawk::masks_to_rle', masks, boxes, height, width, threshold, strict, padding);
    return runsOf(result as [Tensor, Tensor]);
  });
}

function runsOf([counts, offsets]: readonly [counts: Tensor, offsets: Tensor]): Uint32Array[] {
  const runs = Uint32Array.from(counts.toTypedArray() as Int32Array);
  const bounds = offsets.toNumbers();
  return bounds.slice(1).map((end, i) => runs.slice(bounds[i], end));
}

/** Along one axis: the first of three neighbouring cells that each pixel is made of, and three weights a pixel. */
export interface GridTaps {
  readonly first: Int32Array;
  readonly weights: Float64Array;
}

/**
 * Masks of whole pictures from coarse maps of probabilities: a pixel that is more than `threshold` of what `across` and `down` make
 * of its cells belongs to the mask. As gridMaskToRle() of @goshawk/core, which says where taps come from.
 * @param maps [D, rows, columns] on the CPU
 * @returns D lists of run lengths, columns first, zeros first, each adding up to the picture's pixels
 * @throws Error where a tap lies outside of the maps
 */
export function gridMasksToRle(
  maps: Tensor,
  { across, down, threshold }: { readonly across: GridTaps; readonly down: GridTaps; readonly threshold: number },
): Uint32Array[] {
  return scope(() => {
    const taps = [across, down].flatMap(({ first, weights }) => [tensor(first), tensor(weights)]);
    return runsOf(callOp('goshawk::grid_masks_to_rle', maps, ...taps, threshold) as [Tensor, Tensor]);
  });
}

export interface CropMaskTargetsOptions {
  /** Of the image, without padding: samples outside of it are taken at its border. */
  readonly imageHeight: number;
  readonly imageWidth: number;
  /** Side of the targets. */
  readonly resolution: number;
}

/**
 * What a mask head should answer for each RoI: its object's binary mask under legacy RoIAlign with one sample a pixel, as
 * torchvision's project_masks_on_boxes. Masks are stored as crops, outside of which they are 0.
 * @param data [bytes] uint8: the crops' pixels, row by row, one crop after another
 * @param crops [G, 5] int64 rows of offset into data, x, y, width, height
 * @param rois [K, 4] xyxy in the image's pixels
 * @param objects [K] int64: each RoI's row in `crops`
 * @returns [K, resolution, resolution] float32
 * @throws Error where a crop leaves the image or the data, or an object has none; on a card such a target is zeros
 */
export function cropMaskTargets(
  data: Tensor,
  crops: Tensor,
  rois: Tensor,
  objects: Tensor,
  { imageHeight, imageWidth, resolution }: CropMaskTargetsOptions,
): Tensor {
  return callTensorOp('goshawk::crop_mask_targets', data, crops, rois, objects, imageHeight, imageWidth, resolution);
}
