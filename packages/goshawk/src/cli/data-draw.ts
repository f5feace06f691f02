// goshawk data draw: annotations drawn on their pictures, so that a person can look at them.
import path from 'node:path';
import {
  type Annotation,
  drawDetections,
  type ImageRecord,
  InputError,
  imagePathProblem,
  parseCoco,
} from '@goshawk/core';
import sharp, { type CreateRaw } from 'sharp';
import { decodeImageFile } from '../data/decode-image.js';
import { writeFileAtomic } from '../train/atomic-file.js';
import { createProgressLine, formatDuration } from '../train/progress-line.js';
import { wholeNumber } from './parse-option.js';
import { readJsonFile } from './read-annotations.js';

export interface DataDrawCommandOptions {
  readonly images: string;
  readonly output: string;
  readonly limit: string;
}

// The contact sheet: thumbnails in rows, small enough to be looked at whole.
const sheetColumns = 6;
const sheetLimit = 36;
const thumbnailPx = 240;

export async function runDataDraw(file: string, options: DataDrawCommandOptions): Promise<void> {
  const limit = wholeNumber('--limit', options.limit, 0, Number.MAX_SAFE_INTEGER);
  const { dataset } = parseCoco(readJsonFile(file), { fileName: file });
  const { categories } = dataset;
  const byImage = new Map<number, Annotation[]>(dataset.images.map((image) => [image.id, []]));
  for (const annotation of dataset.annotations) byImage.get(annotation.imageId)?.push(annotation);
  const images = limit === 0 ? dataset.images : spread(dataset.images, limit);
  const line = createProgressLine();
  const started = performance.now();
  const thumbnails: Thumbnail[] = [];
  for (const [index, record] of images.entries()) {
    const problem = imagePathProblem(record.fileName);
    if (problem !== undefined) throw new InputError('annotation-invalid', `${file}: ${record.fileName} ${problem}`);
    const picture = await decodeImageFile(path.join(options.images, record.fileName));
    const drawn = drawDetections(picture, byImage.get(record.id) ?? [], { categories });
    const raw = { width: drawn.width, height: drawn.height, channels: 3 } as const;
    const png = await sharp(drawn.data, { raw }).png({ compressionLevel: 3 }).toBuffer();
    writeFileAtomic(path.join(options.output, drawnName(record)), png);
    if (thumbnails.length < sheetLimit) thumbnails.push(await thumbnail(drawn.data, raw));
    const rate = (index + 1) / ((performance.now() - started) / 1000);
    const left = formatDuration((images.length - index - 1) / rate);
    line.update(`${index + 1}/${images.length} drawn  ${rate.toFixed(1)} a second  ${left} left`);
  }
  line.done();
  const sheet = path.join(options.output, 'contact-sheet.png');
  writeFileAtomic(sheet, await contactSheet(thumbnails));
  console.log(
    `${options.output}: ${images.length} of ${dataset.images.length} pictures drawn; ${sheet} shows ${thumbnails.length}`,
  );
}

/** `count` of the list, evenly from all of it. */
function spread<T>(list: readonly T[], count: number): readonly T[] {
  if (list.length <= count) return list;
  return Array.from({ length: count }, (_, i) => list[Math.floor((i * list.length) / count)]!);
}

/** Names of subfolders stay, so that equal file names do not meet; the id tells a.jpg from a.png. */
function drawnName(record: ImageRecord): string {
  const { dir, name } = path.parse(record.fileName);
  return path.join(dir, `${name}-${record.id}.png`);
}

interface Thumbnail {
  readonly png: Buffer;
  readonly width: number;
  readonly height: number;
}

async function thumbnail(data: Uint8Array, raw: CreateRaw): Promise<Thumbnail> {
  const scaled = sharp(data, { raw }).resize({ width: thumbnailPx, height: thumbnailPx, fit: 'inside' });
  const { data: png, info } = await scaled.png().toBuffer({ resolveWithObject: true });
  return { png, width: info.width, height: info.height };
}

/** Rows of `sheetColumns`, each as high as its highest picture. */
function contactSheet(thumbnails: readonly Thumbnail[]): Promise<Buffer> {
  const gap = 8;
  const columns = Math.min(sheetColumns, Math.max(1, thumbnails.length));
  const placed: { input: Buffer; left: number; top: number }[] = [];
  let top = gap;
  for (let start = 0; start < thumbnails.length; start += columns) {
    const row = thumbnails.slice(start, start + columns);
    row.forEach(({ png, width }, column) => {
      const inset = Math.floor((thumbnailPx - width) / 2);
      placed.push({ input: png, left: gap + column * (thumbnailPx + gap) + inset, top });
    });
    top += Math.max(...row.map(({ height }) => height)) + gap;
  }
  const size = { width: columns * (thumbnailPx + gap) + gap, height: top };
  return sharp({ create: { ...size, channels: 3, background: '#ffffff' } })
    .composite(placed)
    .png()
    .toBuffer();
}
