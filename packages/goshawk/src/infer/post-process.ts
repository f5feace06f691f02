// From the network's pixels to the image's: detections as they are evaluated, written and drawn.
import {
  type Detection,
  detectionsInImage,
  type GridMaskPlace,
  gridMaskTaps,
  maskDetectionsInImage,
  type NetworkPlace,
  type Rle,
} from '@goshawk/core';
import { gridMasksToRle, masksToRle, scope, type Tensor, tensor, toHostTogether } from '@goshawk/torch';
import { CONVENTIONS, type Detections, type MaskOutput } from '../models/index.js';

/** An image's two sizes, in pixels. */
export interface ImageSizes extends NetworkPlace {
  readonly imageId: number;
}

export interface PostProcessOptions {
  /** Category ids by class index - 1. */
  readonly categoryIds: readonly number[];
  /** How masks become pixels. Default torchvision's, from a probability of 0.5 on. */
  readonly masks?: MaskOutput;
}

const DEFAULT_MASKS: MaskOutput = { threshold: 0.5, rule: CONVENTIONS.torchvision };

/**
 * The detections of several images on the CPU: what a card found comes in one copy, masks as the small maps of their boxes, and is
 * put into image pixels here, where the host has nothing else to do while the card has the next batch.
 * @param gathered as in toHostTogether()
 */
export function onHost(found: readonly Detections[], options: { readonly gathered?: boolean } = {}): Detections[] {
  const moved = toHostTogether(found.flatMap(tensorsOf), options);
  let next = 0;
  const take = (): Tensor => moved[next++]!;
  return found.map(({ pixels, masks, wholeMasks, keypoints }) => ({
    pixels,
    boxes: take(),
    scores: take(),
    labels: take(),
    ...(masks ? { masks: take() } : {}),
    ...(wholeMasks ? { wholeMasks: { ...wholeMasks, probabilities: take() } } : {}),
    ...(keypoints ? { keypoints: take() } : {}),
  }));
}

export function disposeDetections(found: readonly Detections[]): void {
  for (const tensor of found.flatMap(tensorsOf)) tensor.dispose();
}

function tensorsOf({ boxes, scores, labels, masks, wholeMasks, keypoints }: Detections): Tensor[] {
  const optional = [masks, wholeMasks?.probabilities, keypoints];
  return [boxes, scores, labels, ...optional.filter((tensor) => tensor !== undefined)];
}

/** One image's detections in image pixels, best first; masks are run lengths of the whole image. */
export function postProcess(found: Detections, image: ImageSizes, options: PostProcessOptions): Detection[] {
  const { threshold, rule } = options.masks ?? DEFAULT_MASKS;
  const { categoryIds } = options;
  const scores = found.scores.toFloat32Array();
  const labels = found.labels.toNumbers();
  if (found.wholeMasks) {
    const { probabilities, stride } = found.wholeMasks;
    const [, rows = 0, columns = 0] = probabilities.shape;
    const size = [image.originalHeight, image.originalWidth] as const;
    const masksIn = (place: GridMaskPlace): Rle[] =>
      gridMasksToRle(probabilities, { ...gridMaskTaps(place), threshold }).map((counts) => ({ size, counts }));
    return maskDetectionsInImage({ scores, labels, rows, columns, stride, masksIn }, image, categoryIds);
  }
  return scope(() => {
    const { masks, keypoints } = found;
    const size = [image.originalHeight, image.originalWidth] as const;
    const masksIn = (boxes: Float32Array): Rle[] =>
      masksToRle(masks!, tensor(boxes, { shape: [labels.length, 4] }), {
        height: size[0],
        width: size[1],
        threshold,
        strict: rule.maskThreshold === 'exclusive',
        padding: rule.maskPadding,
      }).map((counts) => ({ size, counts }));
    return detectionsInImage(
      {
        pixels: found.pixels,
        boxes: found.boxes.toFloat32Array(),
        scores,
        labels,
        ...(masks && { masksIn }),
        ...(keypoints && { keypoints: keypoints.toFloat32Array() }),
      },
      image,
      categoryIds,
    );
  });
}
