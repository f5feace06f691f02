// From the network's pixels to the image's.
import type { PictureFrame } from './size-rules.js';

/** An image's two sizes, in pixels. */
export interface NetworkPlace {
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

/** x in the image = x in the network * scaleX + left. */
export interface ToImage {
  readonly scaleX: number;
  readonly scaleY: number;
  readonly left: number;
  readonly top: number;
}

/** Of what is in the image's pixels already. */
export const UNMOVED: ToImage = { scaleX: 1, scaleY: 1, left: 0, top: 0 };

/** Without a frame the ratio of the sides, in float32, as torchvision moves boxes back. */
export function imageFromNetwork(place: NetworkPlace): ToImage {
  const { frame, scaleX = 1, scaleY = 1 } = place;
  if (frame) return { scaleX: 1 / scaleX, scaleY: 1 / scaleY, left: -frame.left / scaleX, top: -frame.top / scaleY };
  return {
    scaleX: Math.fround(place.originalWidth / place.width),
    scaleY: Math.fround(place.originalHeight / place.height),
    left: 0,
    top: 0,
  };
}

/** Where the picture lies in the network's input. */
export function placeInNetwork({
  frame,
  width,
  height,
  originalWidth,
  originalHeight,
  scaleX = 1,
  scaleY = 1,
}: NetworkPlace): { readonly left: number; readonly top: number; readonly width: number; readonly height: number } {
  if (!frame) return { left: 0, top: 0, width, height };
  const { left, top } = frame;
  return { left, top, width: Math.round(originalWidth * scaleX), height: Math.round(originalHeight * scaleY) };
}

/** [N * 4] xyxy boxes of network pixels in those of the image, step by step in float32. */
export function boxesInImage(boxes: ArrayLike<number>, place: NetworkPlace): Float32Array {
  const { scaleX, scaleY, left, top } = imageFromNetwork(place);
  const [factors, moves] = [Float32Array.of(scaleX, scaleY), Float32Array.of(left, top)];
  return Float32Array.from({ length: boxes.length }, (_, i) => {
    const scaled = Math.fround(boxes[i]! * factors[i % 2]!);
    return scaled + moves[i % 2]!;
  });
}

/** Inside of the picture where it stands in a frame: a box of the network may reach into that. */
export function cutToImage(
  corners: Float32Array,
  { frame, originalWidth, originalHeight }: NetworkPlace,
): Float32Array {
  if (!frame) return corners;
  return corners.map((value, i) => Math.min(Math.max(value, 0), i % 2 === 0 ? originalWidth : originalHeight));
}
