// From a decoded picture to what a network reads: chosen size, resized, normalised, float32. Every way in which the systems
// differ here (rule, kernel, channel order, mean and deviation, padding) is a field of `Preprocess`.
import type { RgbImage } from './image.js';
import { type PixelWindow, wholeWindow } from './pixel-window.js';
import { resizeOpenCvRows } from './resize-opencv.js';
import { resizePil } from './resize-pil.js';
import { type FloatDestination, resizeTorch } from './resize-torch.js';
import { type NetworkSize, networkSize, type PictureFrame, paddedSize, type SizeRule } from './size-rules.js';

/**
 * torch: float bilinear (torchvision; with rule detectron also OpenCV's float bilinear by a factor, within 0.006 levels);
 * opencv: uint8 INTER_LINEAR (mmdetection, SOLOv2-Light, sparse_rcnn); pil: antialiased uint8 (maskrcnn-benchmark).
 */
export type ResizeKernel = 'torch' | 'opencv' | 'pil';

export interface Preprocess {
  readonly resize: {
    readonly rule: SizeRule;
    /** Pixels; see {@link SizeRule}. */
    readonly minSize: number;
    readonly maxSize: number;
    readonly kernel: ResizeKernel;
  };
  /** The order in which the network wants channels; `mean` and `std` are in this order. */
  readonly channels: 'rgb' | 'bgr';
  /** Network value = (grey level 0..255 * valueScale - mean) / std. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** 1/255 where mean and std are for values in 0..1, 1 where they are for grey levels. */
  readonly valueScale: number;
  /** Sides of a batch are padded at the right and bottom to a multiple of this. */
  readonly padMultiple: number;
  /** The value in the padding, after normalisation. */
  readonly padValue: number;
  /** Grey levels red, green, blue of the padding, which is normalised then, instead of padValue. */
  readonly padColour?: readonly [number, number, number] | undefined;
}

/** What torchvision's detection models read. */
export const torchvisionPreprocess: Preprocess = {
  resize: { rule: 'torchvision', minSize: 800, maxSize: 1333, kernel: 'torch' },
  channels: 'rgb',
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  valueScale: 1 / 255,
  padMultiple: 32,
  padValue: 0,
};

export interface PreparedImage {
  /** `height` x `width` x 3 network values, rows `rowStride` floats apart from `offset` on. */
  readonly pixels: Float32Array;
  readonly offset: number;
  readonly rowStride: number;
  readonly width: number;
  readonly height: number;
  readonly scaleX: number;
  readonly scaleY: number;
}

/** What one picture becomes in a network's memory: the work that {@link prepareImage} has planned. */
export interface NormalisedResize {
  readonly kernel: ResizeKernel;
  /** Of the whole resized picture, pixels. */
  readonly width: number;
  readonly height: number;
  /** Picture pixels from one network pixel to the next; only the kernel torch takes them. */
  readonly stepX: number;
  readonly stepY: number;
  /** The part of the resized picture that is computed. */
  readonly window: PixelWindow;
  /** Network channel c is `gain[c] * grey level[source[c]] + bias[c]`. */
  readonly gain: readonly [number, number, number];
  readonly bias: readonly [number, number, number];
  readonly source: readonly [number, number, number];
  readonly into: FloatDestination;
}

/** Whatever does that work has to give the values of {@link resizeNormalised}. */
export type Resizer = (image: RgbImage, resize: NormalisedResize) => void;

/**
 * Resizes and normalises `image`.
 * @param options.resizer another way to the same values. Default: {@link resizeNormalised}
 * @param options.into writes there (a padded batch) instead of into a new array without gaps
 * @param options.size another size than the rule's, e.g. of a multi-scale draw
 * @param options.window the part of the resized picture that is wanted; only that is computed. Default: all of it.
 */
export function prepareImage(
  image: RgbImage,
  preprocess: Preprocess,
  options: {
    readonly into?: FloatDestination;
    readonly size?: NetworkSize;
    readonly window?: PixelWindow;
    readonly resizer?: Resizer;
  } = {},
): PreparedImage {
  const size = options.size ?? networkSize(image.width, image.height, preprocess.resize.rule, { ...preprocess.resize });
  const { scaleX, scaleY } = size;
  const { window = wholeWindow(size.width, size.height) } = options;
  const { width, height } = window;
  const into = options.into ?? { data: new Float32Array(width * height * 3), offset: 0, rowStride: width * 3 };
  const source: readonly [number, number, number] = preprocess.channels === 'rgb' ? [0, 1, 2] : [2, 1, 0];
  const gain = preprocess.std.map((std) => preprocess.valueScale / std) as [number, number, number];
  const bias = preprocess.std.map((std, c) => -preprocess.mean[c]! / std) as [number, number, number];
  const { resizer = resizeNormalised } = options;
  resizer(image, {
    kernel: preprocess.resize.kernel,
    width: size.width,
    height: size.height,
    stepX: size.stepX,
    stepY: size.stepY,
    window,
    gain,
    bias,
    source,
    into,
  });
  return { pixels: into.data, offset: into.offset, rowStride: into.rowStride, width, height, scaleX, scaleY };
}

/** The definition of what a network reads of a picture. */
export function resizeNormalised(image: RgbImage, resize: NormalisedResize): void {
  const { kernel, width, height, window, gain, bias, source, into } = resize;
  switch (kernel) {
    case 'torch':
      resizeTorch(image, width, height, resize);
      break;
    case 'opencv':
      resizeOpenCvRows(image, width, height, rowNormaliser(gain, bias, source, into), window);
      break;
    case 'pil': {
      const normalise = rowNormaliser(gain, bias, source, into);
      const { data } = resizePil(image, width, height, window);
      const stride = window.width * 3;
      for (let y = 0; y < window.height; y++) normalise(y, data.subarray(y * stride, (y + 1) * stride));
      break;
    }
  }
}

/** The common padded size of a batch, in pixels. */
export function paddedBatchSize(
  sizes: readonly { readonly width: number; readonly height: number }[],
  padMultiple: number,
): { width: number; height: number } {
  return {
    width: paddedSize(Math.max(...sizes.map((size) => size.width)), padMultiple),
    height: paddedSize(Math.max(...sizes.map((size) => size.height)), padMultiple),
  };
}

/** Network values of the padding's three channels. */
export type PadValues = readonly [number, number, number];

export function padValuesOf(preprocess: Preprocess): PadValues {
  const { padColour, padValue, channels, mean, std, valueScale } = preprocess;
  if (padColour === undefined) return [padValue, padValue, padValue];
  const levels = channels === 'rgb' ? padColour : [padColour[2], padColour[1], padColour[0]];
  return levels.map((level, c) => level! * (valueScale / std[c]!) - mean[c]! / std[c]!) as [number, number, number];
}

/** Where a picture of this size goes in the slot that its frame has in a batch. */
export function placeInFrame(slot: FloatDestination, frame: PictureFrame | undefined): FloatDestination {
  if (frame === undefined) return slot;
  return { ...slot, offset: slot.offset + frame.top * slot.rowStride + frame.left * 3 };
}

/** Fills what lies around a picture in its slot of a padded batch: right of and below it, and with a frame on all sides. */
export function fillPadding(
  slot: FloatDestination,
  image: { readonly width: number; readonly height: number; readonly frame?: PictureFrame | undefined },
  paddedHeight: number,
  values: PadValues,
): void {
  const { data, offset, rowStride } = slot;
  const { left = 0, top = 0 } = image.frame ?? {};
  const fill = (from: number, to: number): void => fillPixels(data, offset + from, offset + to, values);
  fill(0, top * rowStride);
  const [start, end] = [left * 3, (left + image.width) * 3];
  for (let y = top; y < top + image.height; y++) {
    fill(y * rowStride, y * rowStride + start);
    fill(y * rowStride + end, (y + 1) * rowStride);
  }
  fill((top + image.height) * rowStride, paddedHeight * rowStride);
}

/** From one pixel's first channel to another's. */
function fillPixels(data: Float32Array, from: number, to: number, [first, second, third]: PadValues): void {
  if (first === second && second === third) {
    data.fill(first, from, to);
    return;
  }
  for (let i = from; i < to; i += 3) {
    data[i] = first;
    data[i + 1] = second;
    data[i + 2] = third;
  }
}

/** A table of the 256 network values of each channel, applied to rows of bytes. */
function rowNormaliser(
  gain: readonly [number, number, number],
  bias: readonly [number, number, number],
  source: readonly [number, number, number],
  into: FloatDestination,
): (y: number, row: Uint8Array) => void {
  const [first, second, third] = [0, 1, 2].map((c) =>
    Float32Array.from({ length: 256 }, (_, level) => level * gain[c]! + bias[c]!),
  ) as [Float32Array, Float32Array, Float32Array];
  const [a, b, c] = source;
  const { data, offset, rowStride } = into;
  return (y, row) => {
    let o = offset + y * rowStride;
    for (let i = 0; i < row.length; i += 3, o += 3) {
      data[o] = first[row[i + a]!]!;
      data[o + 1] = second[row[i + b]!]!;
      data[o + 2] = third[row[i + c]!]!;
    }
  };
}
