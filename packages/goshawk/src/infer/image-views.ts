// The forms of a picture that test-time augmentation shows to a detector, and the way of boxes between them and the picture.
import type { Preprocess, RgbImage } from '@goshawk/core';
import { type Device, ops, type Tensor, tensor } from '@goshawk/torch';
import { flipImageInPlace, resizeOpenCv } from '../data/pixels/index.js';
import type { Conventions, ImageBatch } from '../models/index.js';
import { imageBatchOf } from './network-batch.js';
import { prepareBatch } from './prepare-batch.js';

/** One form of a picture: made wider, mirrored, then resized for the network. */
export interface View {
  readonly flip: boolean;
  /** Its width is the picture's times this, rounded; resized as Detectron does, with OpenCV's bilinear. */
  readonly aspectRatio: number;
  /** Of the short side in the network, pixels. */
  readonly minSize: number;
  /** Of the long side at most. */
  readonly maxSize: number;
}

/** Which views there are beyond the picture as it is. */
export interface ViewOptions {
  readonly flip: boolean;
  readonly scales: readonly number[];
  readonly maxSize: number;
  readonly scaleFlip: boolean;
  readonly aspectRatios: readonly number[];
  readonly aspectRatioFlip: boolean;
}

/** The picture as it is. */
export function identityView({ minSize, maxSize }: Preprocess['resize']): View {
  return { flip: false, aspectRatio: 1, minSize, maxSize };
}

/** All other views: mirrored, at each scale, at each aspect ratio. */
export function furtherViews(options: ViewOptions, resize: Preprocess['resize']): View[] {
  const identity = identityView(resize);
  const both = (view: View, flip: boolean): View[] => (flip ? [view, { ...view, flip: true }] : [view]);
  return [
    ...(options.flip ? [{ ...identity, flip: true }] : []),
    ...options.scales.flatMap((minSize) => both({ ...identity, minSize, maxSize: options.maxSize }, options.scaleFlip)),
    ...options.aspectRatios.flatMap((aspectRatio) => both({ ...identity, aspectRatio }, options.aspectRatioFlip)),
  ];
}

/** A view of one picture, ready for the network. */
export interface OpenView {
  readonly batch: ImageBatch;
  /** Boxes [..., 4] xyxy of the view, in its network's or its own pixels, in the picture's pixels. */
  toPicture(boxes: Tensor, pixels: 'network' | 'image'): Tensor;
  /** Boxes [N, 4] xyxy of the picture in the view's network pixels. */
  toNetwork(boxes: Tensor): Tensor;
}

export interface OpenViewOptions {
  readonly preprocess: Preprocess;
  readonly boxes: Conventions['boxes'];
  readonly device?: Device;
  /** Stored proposals in the picture's pixels, `[n * 4]` xyxy, for models that take them. */
  readonly proposals?: Float32Array;
}

export function openView(image: RgbImage, view: View, options: OpenViewOptions): OpenView {
  const { preprocess, boxes, device, proposals } = options;
  const shown = transformed(image, view);
  const { minSize, maxSize } = view;
  const batch = imageBatchOf(
    prepareBatch([shown], { ...preprocess, resize: { ...preprocess.resize, minSize, maxSize } }),
    device,
  );
  const { x, y } = batch.scales[0]!;
  const widening = shown.width / image.width;
  // The last pixel of a mirrored box was its first.
  const mirror = shown.width - (boxes === 'inclusive' ? 1 : 0);
  const scaled = (values: Tensor, scaleX: number, scaleY: number): Tensor =>
    scaleX === 1 && scaleY === 1
      ? values
      : ops.mul(values, tensor([scaleX, scaleY, scaleX, scaleY], { device: values.device }));
  const mirrored = (values: Tensor): Tensor => (view.flip ? mirrorBoxes(values, mirror) : values);
  const toNetwork = (values: Tensor): Tensor => scaled(mirrored(scaled(values, widening, 1)), x, y);
  const stored = proposals && toNetwork(tensor(proposals, { shape: [proposals.length / 4, 4], device }));
  return {
    batch: stored ? { ...batch, proposals: [stored] } : batch,
    toPicture: (values, pixels) => {
      const own = pixels === 'image' ? values : scaled(values, 1 / x, 1 / y);
      return scaled(mirrored(own), 1 / widening, 1);
    },
    toNetwork,
  };
}

/** [..., 4] xyxy boxes with x as `mirror` - x. */
function mirrorBoxes(boxes: Tensor, mirror: number): Tensor {
  const [x1, y1, x2, y2] = ops.unbind(boxes, { dim: -1 }) as [Tensor, Tensor, Tensor, Tensor];
  const other = (value: Tensor): Tensor => ops.rsub(value, mirror);
  return ops.stack([other(x2), y1, other(x1), y2], { dim: -1 });
}

function transformed(image: RgbImage, { flip, aspectRatio }: View): RgbImage {
  const width = Math.max(1, Math.round(image.width * aspectRatio));
  const wide = width === image.width ? image : resizeOpenCv(image, width, image.height);
  if (!flip) return wide;
  const own = wide === image ? { ...image, data: image.data.slice() } : wide;
  flipImageInPlace(own);
  return own;
}
