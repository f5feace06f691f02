// Copies of a data set's pictures at the size that a training needs, with their annotations: photos of a phone take longer to decode
// than a small network takes to learn from them. What is measured on and predicted for stays as it is.
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { type Annotation, boxXywh, type Dataset, type ImageRecord, InputError, type Polygon } from '@goshawk/core';
import sharp, { type Sharp } from 'sharp';
import { decodeImageFile, pictureLocator, readImageHeader } from '../data/index.js';
import { pictureSizeProblem } from '../data/picture-size.js';
import { describeWriteError } from '../files/atomic-file.js';
import type { PictureWays } from './usable-pictures.js';

export interface ShrinkOptions {
  /** Folder that the pictures' names start from. */
  readonly images: string;
  /** Folder of the copies, under the same names. */
  readonly output: string;
  /** Pixels; smaller pictures are copied as they are. */
  readonly longSide: number;
  readonly ways: PictureWays;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Where masks are run lengths of the whole picture they would have to be drawn anew. */
export function canShrink({ annotations }: Dataset): boolean {
  return annotations.every(({ segmentation }) => segmentation?.kind !== 'rle');
}

/**
 * Writes the copies and gives the data set in their pixels. Pictures that cannot be decoded, and those of another size than their entry, are left out, with a line each.
 * @throws InputError where a picture lies outside of its folder or is missing, and where a copy cannot be written
 */
export async function shrinkPictures(
  dataset: Dataset,
  { images, output, longSide, ways, onProgress }: ShrinkOptions,
): Promise<{ readonly dataset: Dataset; readonly problems: readonly string[] }> {
  const locate = pictureLocator(images, ways);
  const copyName = copyNames(dataset);
  const copied = new Map<number, ImageRecord>();
  const problems: string[] = [];
  let next = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (next < dataset.images.length) {
      const image = dataset.images[next++]!;
      const { path, problem } = locate(image);
      if (problem !== undefined) throw new InputError('file-not-found', `${path}: ${problem.text}`);
      const factor = Math.min(1, longSide / Math.max(image.width, image.height));
      const copy = {
        ...image,
        fileName: copyName(image.fileName),
        width: Math.max(1, Math.round(image.width * factor)),
        height: Math.max(1, Math.round(image.height * factor)),
      };
      const bytes = await copyOf(path, image, copy, ways).catch((error: unknown) => {
        if (!(error instanceof InputError)) throw error;
        problems.push(error.message);
      });
      if (bytes !== undefined) {
        await write(join(output, copy.fileName), bytes);
        copied.set(image.id, copy);
      }
      onProgress?.(++done, dataset.images.length);
    }
  };
  const workers = Array.from({ length: Math.max(1, cpus().length) }, async () => {
    try {
      await worker();
    } catch (error) {
      // The others end too, before anybody takes their folder away.
      next = dataset.images.length;
      throw error;
    }
  });
  for (const ended of await Promise.allSettled(workers)) if (ended.status === 'rejected') throw ended.reason;
  const originals = new Map(dataset.images.map((image) => [image.id, image]));
  return {
    dataset: {
      ...dataset,
      images: dataset.images.flatMap(({ id }) => copied.get(id) ?? []),
      annotations: dataset.annotations.flatMap((annotation) => {
        const copy = copied.get(annotation.imageId);
        return copy === undefined ? [] : [scaled(annotation, originals.get(annotation.imageId)!, copy)];
      }),
    },
    problems,
  };
}

/** The picture's own name where that says JPEG, else with that ending behind it, unless another picture is called so. */
function copyNames({ images }: Dataset): (fileName: string) => string {
  const names = new Set(images.map(({ fileName }) => fileName));
  return (fileName) => {
    let name = fileName;
    while (!/\.jpe?g$/i.test(name) || (name !== fileName && names.has(name))) name += '.jpg';
    return name;
  };
}

/**
 * The copy as a JPEG; JPEGs are halved while they are decoded, which takes a fraction of the time.
 * @throws InputError where the picture cannot be decoded, and where it has another size than its entry
 */
async function copyOf(
  from: string,
  entry: ImageRecord,
  { width, height }: ImageRecord,
  ways: PictureWays,
): Promise<Buffer> {
  const { exifOrientation } = ways;
  const other = pictureSizeProblem(entry, await readImageHeader(from, ways), exifOrientation);
  if (other !== undefined) throw new InputError('image-invalid', `${from} ${other}`);
  const file = sharp(from, { failOn: 'error', ignoreIcc: true, limitInputPixels: false });
  const plain = await file.metadata().catch(() => undefined);
  const isPlainJpeg = plain?.format === 'jpeg' && plain.space !== 'cmyk';
  const encoded = (picture: Sharp) =>
    picture
      .resize({ width, height, fit: 'fill', kernel: 'linear' })
      .jpeg({ quality: 93, chromaSubsampling: '4:4:4' })
      .toBuffer();
  if (isPlainJpeg)
    try {
      const shown = exifOrientation === 'apply' ? file.autoOrient() : file;
      return await encoded(shown.removeAlpha().toColourspace('srgb'));
    } catch {
      // The reader of pictures takes some that this way does not, and says in its own words what is wrong with the others.
    }
  return encoded(await ofPixels(from, exifOrientation));
}

/** @throws InputError where the disk takes no more */
async function write(file: string, bytes: Buffer): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, bytes);
  } catch (error) {
    throw describeWriteError(file, error);
  }
}

async function ofPixels(path: string, exifOrientation: PictureWays['exifOrientation']): Promise<Sharp> {
  const { data, width, height } = await decodeImageFile(path, { exifOrientation });
  return sharp(data, { raw: { width, height, channels: 3 } });
}

function scaled(annotation: Annotation, from: ImageRecord, to: ImageRecord): Annotation {
  const [x, y] = [to.width / from.width, to.height / from.height];
  const { bbox, area, segmentation, keypoints } = annotation;
  return {
    ...annotation,
    bbox: boxXywh(bbox[0] * x, bbox[1] * y, bbox[2] * x, bbox[3] * y),
    area: area * x * y,
    ...(segmentation?.kind === 'polygons' && {
      segmentation: { kind: 'polygons', polygons: segmentation.polygons.map((one) => scaledPolygon(one, x, y)) },
    }),
    ...(keypoints && { keypoints: keypoints.map((value, i) => [value * x, value * y, value][i % 3]!) }),
  };
}

function scaledPolygon(polygon: Polygon, x: number, y: number): Polygon {
  return polygon.map((value, i) => value * (i % 2 === 0 ? x : y));
}
