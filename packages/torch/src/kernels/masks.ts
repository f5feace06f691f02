// Instance masks on their way out of the network (into run lengths) and into it (as training targets);
// the kernels are native/kernels/masks-to-rle.cc and crop-mask-targets.cc.
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
    const [counts, offsets] = result as [Tensor, Tensor];
    const runs = Uint32Array.from(counts.toTypedArray() as Int32Array);
    const bounds = offsets.toNumbers();
    return bounds.slice(1).map((end, i) => runs.slice(bounds[i], end));
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
