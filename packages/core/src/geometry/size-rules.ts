// The rules by which the systems choose the size of the network's input. They differ by a pixel here and there, and a
// pixel moves every feature: each rule is kept as its original computes it. No rule returns a side of zero pixels.

/** How a size is chosen; the functions below say what each does. */
export type SizeRule =
  | 'torchvision'
  | 'torchvision-float32'
  | 'mmdet'
  | 'detectron'
  | 'maskrcnn-benchmark'
  | 'letterbox'
  | 'none';

/** What the picture becomes, in pixels, and how positions map. */
export interface NetworkSize {
  readonly width: number;
  readonly height: number;
  /** A box's x in network pixels is its x in image pixels times this. */
  readonly scaleX: number;
  readonly scaleY: number;
  /** Image pixels from one network pixel to the next, as the resizer takes them (width / network width for most rules). */
  readonly stepX: number;
  readonly stepY: number;
  /** What the picture stands in, where it is not at the corner of what the network sees. */
  readonly frame?: PictureFrame;
}

/** What the network sees, in pixels, and where the picture's first pixel lies in it. */
export interface PictureFrame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly top: number;
}

/** Width and height of what the network sees of a picture, without the padding of its batch. */
export function seenSize({ frame, width, height }: Pick<NetworkSize, 'width' | 'height' | 'frame'>): {
  readonly width: number;
  readonly height: number;
} {
  return frame ?? { width, height };
}

export interface SizeLimits {
  /** The short side shall have this length, in pixels ... */
  readonly minSize: number;
  /** ... unless the long side would then exceed this one. */
  readonly maxSize: number;
}

/** The network size of a `width` x `height` picture under `rule`. */
export function networkSize(width: number, height: number, rule: SizeRule, limits: SizeLimits): NetworkSize {
  switch (rule) {
    case 'torchvision':
      return torchvisionSize(width, height, limits);
    case 'torchvision-float32':
      return torchvisionFloat32Size(width, height, limits);
    case 'mmdet':
      return mmdetSize(width, height, limits);
    case 'detectron':
      return detectronSize(width, height, limits);
    case 'maskrcnn-benchmark':
      return maskrcnnBenchmarkSize(width, height, limits);
    case 'letterbox':
      return letterboxSize(width, height, limits);
    case 'none':
      return toSize(width, height, width, height);
  }
}

/**
 * torchvision since 0.15, eager: scale = min(minSize / short, maxSize / long) in float64, each side floor(side * scale)
 * (`interpolate` with recompute_scale_factor), boxes scaled by the ratio of the sides.
 */
export function torchvisionSize(width: number, height: number, { minSize, maxSize }: SizeLimits): NetworkSize {
  const scale = Math.min(minSize / Math.min(width, height), maxSize / Math.max(width, height));
  return toSize(width, height, Math.floor(width * scale), Math.floor(height * scale));
}

/**
 * The same with the scale in float32, as torchvision before 0.15 and its scripted and traced models compute it:
 * 480 at minSize 800 becomes 799 or 800 by rounding of the scale.
 */
export function torchvisionFloat32Size(width: number, height: number, { minSize, maxSize }: SizeLimits): NetworkSize {
  const scale = Math.min(
    Math.fround(minSize / Math.min(width, height)),
    Math.fround(maxSize / Math.max(width, height)),
  );
  return toSize(width, height, Math.floor(width * scale), Math.floor(height * scale));
}

/**
 * mmdetection 1.x (mmcv imrescale), also SOLOv2-Light: the factor min(long limit / long side, short limit / short
 * side), each side int(side * factor + 0.5). Boxes are scaled by the factor, not by the ratio of the sides.
 */
export function mmdetSize(width: number, height: number, { minSize, maxSize }: SizeLimits): NetworkSize {
  const longLimit = Math.max(minSize, maxSize);
  const shortLimit = Math.min(minSize, maxSize);
  const factor = Math.min(longLimit / Math.max(width, height), shortLimit / Math.min(width, height));
  const size = toSize(width, height, Math.floor(width * factor + 0.5), Math.floor(height * factor + 0.5));
  return { ...size, scaleX: factor, scaleY: factor };
}

/**
 * Detectron.pytorch (utils/blob.py, prep_im_for_blob): factor minSize / short, or maxSize / long where the rounded long
 * side would exceed maxSize; OpenCV rounds the sides half to even and steps by 1 / factor, not by the ratio of the sides.
 */
export function detectronSize(width: number, height: number, { minSize, maxSize }: SizeLimits): NetworkSize {
  const long = Math.max(width, height);
  let factor = minSize / Math.min(width, height);
  if (roundHalfToEven(factor * long) > maxSize) factor = maxSize / long;
  const size = toSize(width, height, roundHalfToEven(width * factor), roundHalfToEven(height * factor));
  // cv::resize copies when no side changes, whatever the factor.
  const step = size.width === width && size.height === height ? 1 : 1 / factor;
  return { ...size, scaleX: factor, scaleY: factor, stepX: step, stepY: step };
}

/**
 * maskrcnn-benchmark (data/transforms): the short side becomes minSize, or round(maxSize * short / long) where the long
 * side would exceed maxSize; the long side is truncated. Boxes are scaled by the ratio of the sides.
 */
export function maskrcnnBenchmarkSize(width: number, height: number, { minSize, maxSize }: SizeLimits): NetworkSize {
  const short = Math.min(width, height);
  const long = Math.max(width, height);
  let target = minSize;
  if ((long / short) * target > maxSize) target = roundHalfToEven((maxSize * short) / long);
  // Only here could a side vanish: 1 x 4000 at 320 would become 0 x 0.
  if (target < 1) return toSize(width, height, Math.min(width, maxSize), Math.min(height, maxSize));
  if (short === target) return toSize(width, height, width, height);
  return width < height
    ? toSize(width, height, target, Math.trunc((target * height) / width))
    : toSize(width, height, Math.trunc((target * width) / height), target);
}

/**
 * sparse_rcnnv1 (datasets/coco.py and utils/augmentations.py): the factor by which the picture just fits into a square of maxSize,
 * also a factor above 1; sides rounded half to even; the picture in the middle, of an odd rest the smaller half before it. Boxes are
 * scaled by the factor, not by the ratio of the sides.
 */
export function letterboxSize(width: number, height: number, { maxSize }: Pick<SizeLimits, 'maxSize'>): NetworkSize {
  const factor = Math.min(maxSize / height, maxSize / width);
  const size = toSize(width, height, roundHalfToEven(width * factor), roundHalfToEven(height * factor));
  const before = (side: number): number => Math.floor((maxSize - side) / 2);
  const frame = { width: maxSize, height: maxSize, left: before(size.width), top: before(size.height) };
  return { ...size, scaleX: factor, scaleY: factor, frame };
}

/** As large as fits into `limits` with its sides in proportion: mmcv's imrescale, as {@link mmdetSize} rounds. */
export function fittedSize(
  width: number,
  height: number,
  limits: { readonly width: number; readonly height: number },
): NetworkSize {
  const factor = Math.min(limits.width / width, limits.height / height);
  const size = toSize(width, height, Math.floor(width * factor + 0.5), Math.floor(height * factor + 0.5));
  return { ...size, scaleX: factor, scaleY: factor };
}

/** `size` made a multiple of `multiple` by adding at most multiple - 1 pixels. */
export function paddedSize(size: number, multiple: number): number {
  return Math.ceil(size / multiple) * multiple;
}

function toSize(width: number, height: number, networkWidth: number, networkHeight: number): NetworkSize {
  const w = Math.max(1, networkWidth);
  const h = Math.max(1, networkHeight);
  return { width: w, height: h, scaleX: w / width, scaleY: h / height, stepX: width / w, stepY: height / h };
}

/** Python's and OpenCV's rounding: an exact half goes to the even neighbour. */
export function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
