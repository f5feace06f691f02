// Inference in a few lines: weights, then pictures in any form, as predictions and as pictures with these drawn on
// them (what maskrcnn-benchmark's demo calls COCODemo).
import {
  type Category,
  type Detection,
  decodeMask,
  drawDetections,
  InputError,
  polygonsToRle,
  type RgbImage,
} from '@goshawk/core';
import type { RunConfig } from '../config/index.js';
import { decodeImage, decodeImageFile, encodePng } from '../data/index.js';
import { nodeCanvas } from '../drawing/index.js';
import { openConfig } from '../foreign/open-config.js';
import { readDescription } from './detector-file.js';
import { type OpenDetector, openDetector } from './open-detector.js';

/** A file, the bytes of one, or pixels. */
export type PictureSource = string | Uint8Array | RgbImage;

export interface PictureDetectorOptions {
  /** A config file of any system, or a config. Default: the one in the file of weights. */
  readonly config?: string | RunConfig;
  /** `KEY=VALUE`, in the names of the file's system or in ours; for a config that is a file. */
  readonly sets?: readonly string[];
  /** A file of any system. */
  readonly weights: string;
  /** `cpu`, `cuda` or `cuda:N`. Default: the config's. */
  readonly device?: string;
  /** Length of the pictures' short side in the network, pixels. Default: the config's. */
  readonly minImageSize?: number;
  /** Detections below this score are left out, 0 to 1. Default 0.7. */
  readonly confidenceThreshold?: number;
  /** What the classes are called, for weights that do not say it. */
  readonly categories?: readonly Category[];
}

export interface PictureResult {
  /** The picture, decoded. */
  readonly image: RgbImage;
  /** In its pixels, best first. */
  readonly detections: readonly Detection[];
}

const DEFAULT_THRESHOLD = 0.7;

/** A detector that takes one picture after another. */
export class PictureDetector {
  /** In the order of the model's classes. */
  readonly categories: readonly Category[];
  readonly #detector: OpenDetector;
  readonly #threshold: number;

  /** @throws InputError about the config, the weights, or an option */
  constructor(options: PictureDetectorOptions) {
    const { config, sets = [], weights, categories, confidenceThreshold = DEFAULT_THRESHOLD } = options;
    if (!(confidenceThreshold >= 0 && confidenceThreshold <= 1))
      throw new InputError('usage', `confidenceThreshold: got ${confidenceThreshold}: expected a number from 0 to 1`);
    const given = typeof config === 'string' ? openConfig(config, sets).config : config;
    const read = given ?? readDescription(weights)?.config;
    this.#detector = openDetector({
      ...(read && { config: withMinSize(read, options.minImageSize) }),
      ...(options.device !== undefined && { device: options.device }),
      weights,
      ...(categories && { categories }),
    });
    this.#threshold = confidenceThreshold;
    this.categories = this.#detector.categories;
  }

  /** @throws InputError where the picture cannot be read */
  async detect(source: PictureSource): Promise<PictureResult> {
    const image = await imageOf(source);
    const [found = []] = this.#detector.predictor.predict([image]);
    return { image, detections: found.filter(({ score }) => score >= this.#threshold) };
  }

  /** One frame after another, each when it is asked for: of a film, a camera, a folder. */
  async *detectEach(
    frames: AsyncIterable<PictureSource> | Iterable<PictureSource>,
  ): AsyncGenerator<PictureResult, void, undefined> {
    for await (const frame of frames) yield await this.detect(frame);
  }

  /** A copy of the picture with boxes, masks, keypoints and names on it. */
  overlay({ image, detections }: PictureResult): RgbImage {
    return drawDetections(image, detections, { categories: this.categories, canvas: nodeCanvas });
  }

  /** The same as the bytes of a PNG file. */
  async png(result: PictureResult): Promise<Uint8Array> {
    return encodePng(this.overlay(result));
  }
}

function withMinSize(config: RunConfig, minSize: number | undefined): RunConfig {
  if (minSize === undefined) return config;
  if (!Number.isInteger(minSize) || minSize < 1)
    throw new InputError('usage', `minImageSize: got ${minSize}: expected a whole number of pixels`);
  const { preprocess } = config;
  const { resize } = preprocess;
  // The long side's limit would else decide alone.
  const maxSize = Math.max(minSize, resize.maxSize);
  return { ...config, preprocess: { ...preprocess, resize: { ...resize, minSize, maxSize } } };
}

async function imageOf(source: PictureSource): Promise<RgbImage> {
  if (typeof source === 'string') return decodeImageFile(source);
  if (source instanceof Uint8Array) return decodeImage(source, 'the picture');
  const { width, height, data } = source;
  const expected = width * height * 3;
  if (data.length !== expected || expected === 0)
    throw new InputError(
      'image-invalid',
      `the picture: has ${data.length} values (expected ${width} x ${height} pixels of red, green and blue, ${expected}): correct it`,
    );
  return source;
}

export interface MontageOptions {
  /** Masks a row and a column. Default 2. */
  readonly perSide?: number;
  /** Side of each in pixels. Default 112. */
  readonly tileSize?: number;
}

/** The best masks of a picture, each white on black and as large as its box: a square of squares, empty ones where there are fewer. */
export function maskMontage(detections: readonly Detection[], options: MontageOptions = {}): RgbImage {
  const { perSide = 2, tileSize = 112 } = options;
  const side = perSide * tileSize;
  const montage = { width: side, height: side, data: new Uint8Array(side * side * 3) };
  const best = detections.filter(({ segmentation, bbox }) => segmentation && bbox).slice(0, perSide * perSide);
  for (const [place, { segmentation, bbox }] of best.entries()) {
    const [x0, y0] = [(place % perSide) * tileSize, Math.floor(place / perSide) * tileSize];
    const [left, top, width, height] = bbox!;
    const size = [Math.ceil(top + height) + 1, Math.ceil(left + width) + 1] as const;
    const rle = segmentation!.kind === 'rle' ? segmentation!.rle : polygonsToRle(segmentation!.polygons, size);
    const [rows, columns] = rle.size;
    const pixels = decodeMask(rle);
    for (let y = 0; y < tileSize; y++) {
      for (let x = 0; x < tileSize; x++) {
        const row = Math.floor(top + ((y + 0.5) * height) / tileSize);
        const column = Math.floor(left + ((x + 0.5) * width) / tileSize);
        const isInside = row >= 0 && column >= 0 && row < rows && column < columns;
        if (isInside && pixels[row * columns + column] === 1)
          montage.data.fill(255, ((y0 + y) * side + x0 + x) * 3, ((y0 + y) * side + x0 + x + 1) * 3);
      }
    }
  }
  return montage;
}
