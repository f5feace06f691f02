// Pictures as the pages of one PDF, written as they come: only one is in memory.
import { once } from 'node:events';
import { createWriteStream, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, parse } from 'node:path';
import { finished } from 'node:stream/promises';
import type { RgbImage } from '@goshawk/core';
import PDFDocument from 'pdfkit';
import sharp from 'sharp';
import { describeWriteError } from '../files/atomic-file.js';
import { removeAtExit } from '../files/tidy-end.js';

// PDF readers refuse pages above 200 inches of 72 points.
const LARGEST_PAGE_POINTS = 14400;
const JPEG_QUALITY = 92;

export class PicturePdf {
  readonly #file: string;
  readonly #partial: string;
  readonly #document: InstanceType<typeof PDFDocument>;
  readonly #stream: ReturnType<typeof createWriteStream>;
  readonly #keep: () => void;
  #failure: unknown;

  /** The file appears under its name at {@link finish}; what lies there until then stays. */
  constructor(file: string, title: string) {
    this.#file = file;
    const { dir, name, ext } = parse(file);
    this.#partial = join(dir, `${name}.partial${ext}`);
    this.#keep = removeAtExit(this.#partial);
    mkdirSync(dirname(file), { recursive: true });
    this.#document = new PDFDocument({ autoFirstPage: false, margin: 0, info: { Title: title, Creator: 'goshawk' } });
    this.#stream = createWriteStream(this.#partial);
    this.#stream.on('error', (error) => {
      this.#failure = error;
    });
    this.#document.pipe(this.#stream);
  }

  /** A page of the picture's size, a pixel a point; its name becomes a bookmark. */
  async add(image: RgbImage, name: string): Promise<void> {
    this.#check();
    const { data, width, height } = image;
    const jpeg = await sharp(data, { raw: { width, height, channels: 3 } })
      .jpeg({ quality: JPEG_QUALITY, chromaSubsampling: '4:4:4' })
      .toBuffer();
    const scale = Math.min(1, LARGEST_PAGE_POINTS / Math.max(width, height));
    const size: [number, number] = [width * scale, height * scale];
    this.#document.addPage({ size, margin: 0 });
    this.#document.image(jpeg, 0, 0, { width: size[0], height: size[1] });
    this.#document.outline.addItem(name);
    if (this.#stream.writableNeedDrain) await once(this.#stream, 'drain').catch((error) => this.#fail(error));
  }

  async finish(): Promise<void> {
    this.#check();
    this.#document.end();
    await finished(this.#stream).catch((error) => this.#fail(error));
    renameSync(this.#partial, this.#file);
    this.#keep();
  }

  /** Leaves nothing behind, for when the work has failed. */
  abandon(): void {
    this.#stream.destroy();
    rmSync(this.#partial, { force: true });
    this.#keep();
  }

  #fail(error: unknown): never {
    throw describeWriteError(this.#file, error);
  }

  #check(): void {
    if (this.#failure !== undefined) this.#fail(this.#failure);
  }
}
