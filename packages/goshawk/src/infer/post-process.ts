// From the network's pixels to the image's: detections as they are evaluated, written and drawn.
import { boxXywh, type Detection, gridMaskTaps, type PictureFrame, type Rle, rleArea, rleToBbox } from '@goshawk/core';
import { gridMasksToRle, masksToRle, ops, scope, type Tensor, tensor, toHostTogether } from '@goshawk/torch';
import { CONVENTIONS, type Detections, type MaskOutput } from '../models/index.js';

/** An image's two sizes, in pixels. */
export interface ImageSizes {
  readonly imageId: number;
  /** As the network saw it, without padding. */
  readonly width: number;
  readonly height: number;
  readonly originalWidth: number;
  readonly originalHeight: number;
  /** Network pixels an image pixel, and where the picture stands in `width` x `height`; absent: it is all of that. */
  readonly scaleX?: number;
  readonly scaleY?: number;
  readonly frame?: PictureFrame;
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
  if (found.wholeMasks) return withWholeMasks({ ...found, wholeMasks: found.wholeMasks }, image, options);
  return scope(() => {
    const toImage = imageFromNetwork(image);
    const isMoved = found.pixels === 'network';
    const boxes = isMoved ? movedBoxes(found.boxes, toImage) : found.boxes;
    const corners = cornersOf(boxes, isMoved, image);
    const scores = found.scores.toFloat32Array();
    const labels = found.labels.toNumbers();
    const keypoints = found.keypoints && keypointsOf(found.keypoints, isMoved ? toImage : UNMOVED);
    const masks = found.masks
      ? masksToRle(found.masks, boxes, {
          height: image.originalHeight,
          width: image.originalWidth,
          threshold,
          strict: rule.maskThreshold === 'exclusive',
          padding: rule.maskPadding,
        })
      : undefined;
    return labels.map((label, index) => {
      const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = corners.subarray(index * 4, index * 4 + 4);
      const rle: Rle | undefined = masks && {
        size: [image.originalHeight, image.originalWidth],
        counts: masks[index]!,
      };
      return {
        imageId: image.imageId,
        categoryId: categoryIdOf(label, options),
        score: scores[index]!,
        bbox: boxXywh(x1, y1, x2 - x1, y2 - y1),
        ...(rle ? { segmentation: { kind: 'rle' as const, rle } } : {}),
        ...(keypoints?.[index] ?? {}),
      };
    });
  });
}

/** Masks that no box bounds: the boxes are those around them. A detection of which no pixel is left is none. */
function withWholeMasks(
  { scores, labels, wholeMasks }: Pick<Detections, 'scores' | 'labels'> & Required<Pick<Detections, 'wholeMasks'>>,
  image: ImageSizes,
  options: PostProcessOptions,
): Detection[] {
  const { imageId, originalWidth, originalHeight } = image;
  const { probabilities, stride } = wholeMasks;
  const [, rows = 0, columns = 0] = probabilities.shape;
  const ofAll = scores.toFloat32Array();
  const size = [originalHeight, originalWidth] as const;
  const place = {
    rows,
    columns,
    stride,
    network: placeInNetwork(image),
    image: { width: originalWidth, height: originalHeight },
  };
  const masks = gridMasksToRle(probabilities, {
    ...gridMaskTaps(place),
    threshold: (options.masks ?? DEFAULT_MASKS).threshold,
  });
  return labels.toNumbers().flatMap((label, index) => {
    const rle: Rle = { size, counts: masks[index]! };
    if (rleArea(rle) === 0) return [];
    return {
      imageId,
      categoryId: categoryIdOf(label, options),
      score: ofAll[index]!,
      bbox: rleToBbox(rle),
      segmentation: { kind: 'rle' as const, rle },
    };
  });
}

/** Where the picture lies in the network's input. */
function placeInNetwork({ frame, width, height, originalWidth, originalHeight, scaleX = 1, scaleY = 1 }: ImageSizes) {
  if (!frame) return { left: 0, top: 0, width, height };
  const { left, top } = frame;
  return { left, top, width: Math.round(originalWidth * scaleX), height: Math.round(originalHeight * scaleY) };
}

function categoryIdOf(label: number, { categoryIds }: PostProcessOptions): number {
  const id = categoryIds[label - 1];
  if (id === undefined) throw new Error(`internal: class ${label} of ${categoryIds.length}`);
  return id;
}

/** x in the image = x in the network * scaleX + left. */
interface ToImage {
  readonly scaleX: number;
  readonly scaleY: number;
  readonly left: number;
  readonly top: number;
}

const UNMOVED: ToImage = { scaleX: 1, scaleY: 1, left: 0, top: 0 };

function imageFromNetwork(image: ImageSizes): ToImage {
  const { frame, scaleX = 1, scaleY = 1 } = image;
  if (frame) return { scaleX: 1 / scaleX, scaleY: 1 / scaleY, left: -frame.left / scaleX, top: -frame.top / scaleY };
  return {
    scaleX: Math.fround(image.originalWidth / image.width),
    scaleY: Math.fround(image.originalHeight / image.height),
    left: 0,
    top: 0,
  };
}

function movedBoxes(boxes: Tensor, { scaleX, scaleY, left, top }: ToImage): Tensor {
  const { device } = boxes;
  const scaled = ops.mul(boxes, tensor([scaleX, scaleY, scaleX, scaleY], { device }));
  return left === 0 && top === 0 ? scaled : ops.add(scaled, tensor([left, top, left, top], { device }));
}

/** Inside of the picture: a box of the network may reach into the frame around it. */
function cornersOf(
  boxes: Tensor,
  isMoved: boolean,
  { frame, originalWidth, originalHeight }: ImageSizes,
): Float32Array {
  const corners = boxes.toFloat32Array();
  if (!isMoved || !frame) return corners;
  return corners.map((value, i) => Math.min(Math.max(value, 0), i % 2 === 0 ? originalWidth : originalHeight));
}

/** COCO's lists x, y, v of [D, K, 4] keypoints, and their logits; v is 1 for all, as Detectron writes results. */
function keypointsOf(
  keypoints: Tensor,
  { scaleX, scaleY, left, top }: ToImage,
): Required<Pick<Detection, 'keypoints' | 'keypointLogits'>>[] {
  const [detections = 0, count = 0] = keypoints.shape;
  const values = keypoints.toFloat32Array();
  return Array.from({ length: detections }, (_, detection) => {
    const places = Array.from({ length: count }, (__, point) => (detection * count + point) * 4);
    return {
      keypoints: places.flatMap((at) => [values[at]! * scaleX + left, values[at + 1]! * scaleY + top, 1]),
      keypointLogits: places.map((at) => values[at + 2]!),
    };
  });
}
