// Small pictures for a report, as files beside it.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '@goshawk/core';
import sharp from 'sharp';
import { type DatasetSample, type DetectionDataset, decodeSample } from '../data/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';

/** Folder of a report's pictures, beside it. */
export const PICTURES_FOLDER = 'report-pictures';

/** The most pictures of their own that a report has, and bytes of all of them together. */
export interface PictureLimits {
  readonly pictures: number;
  readonly bytes: number;
}

export const PICTURE_LIMITS: PictureLimits = { pictures: 2500, bytes: 20e6 };

/** Longest side of a picture, by how many there are: all of them together stay within the bytes. */
function sideOf(pictures: number): number {
  if (pictures <= 300) return 640;
  if (pictures <= 1000) return 400;
  return 288;
}

/** How a data set's pictures are read. */
export type PictureSource = Pick<DetectionDataset, 'exifOrientation' | 'load'>;

/** Writes pictures once, whatever number of evaluations asks for them. */
export class Thumbnails {
  readonly #output: string;
  readonly #limits: PictureLimits;
  readonly #files = new Map<number, string>();
  #bytes = 0;
  #isBegun = false;

  /** @param output folder of the report */
  constructor(output: string, limits: PictureLimits = PICTURE_LIMITS) {
    this.#output = output;
    this.#limits = limits;
  }

  /** Makes the folder, once: what an earlier report left there may be of other data. */
  begin(): void {
    if (this.#isBegun) return;
    const folder = join(this.#output, PICTURES_FOLDER);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    this.#isBegun = true;
  }

  /** Makes those of the samples that are not there yet, the first ones first, up to the limits. */
  async add(samples: readonly DatasetSample[], source: PictureSource): Promise<void> {
    this.begin();
    const folder = join(this.#output, PICTURES_FOLDER);
    const { pictures, bytes } = this.#limits;
    const side = sideOf(Math.min(samples.length, pictures));
    for (const sample of samples) {
      if (this.#files.size >= pictures || this.#bytes >= bytes) return;
      const { id } = sample.image;
      if (this.#files.has(id)) continue;
      const jpeg = await thumbnail(sample, source, side);
      if (jpeg === undefined) continue;
      const name = `${id}.jpg`;
      writeFileAtomic(join(folder, name), jpeg);
      this.#files.set(id, `${PICTURES_FOLDER}/${name}`);
      this.#bytes += jpeg.length;
    }
  }

  /** Relative to the report. */
  fileOf(imageId: number): string | undefined {
    return this.#files.get(imageId);
  }

  get count(): number {
    return this.#files.size;
  }
}

/** undefined for a picture that cannot be used, which the evaluation has told of. */
async function thumbnail(
  sample: DatasetSample,
  { exifOrientation, load }: PictureSource,
  side: number,
): Promise<Buffer | undefined> {
  try {
    const { data, width, height } = await decodeSample(
      sample,
      exifOrientation,
      load && { [sample.path]: await load(sample.path) },
    );
    return await sharp(data, { raw: { width, height, channels: 3 } })
      .resize({ width: side, height: side, fit: 'inside', withoutEnlargement: true })
      .jpeg({ quality: 72, mozjpeg: false })
      .toBuffer();
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}
