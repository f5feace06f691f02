// goshawk data draw: annotations drawn on their pictures, so that a person can look at them.
import path from 'node:path';
import { type Annotation, drawDetections, type ImageRecord, InputError } from '@goshawk/core';
import sharp from 'sharp';
import { readAnnotations } from '../data/annotation-files.js';
import { decodeImageFile } from '../data/decode-image.js';
import { pictureLocator } from '../data/picture-files.js';
import { nodeCanvas, unreadableNotice } from '../drawing/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { claimOutput } from '../files/output-folder.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { createProgressLine, formatDuration } from '../terminal/progress-line.js';
import { type AnnotationCommandOptions, annotationSource } from './annotation-options.js';
import { ContactSheet } from './contact-sheet.js';
import { wholeNumber } from './parse-option.js';
import { noneUsable, someUnusable } from './unusable-pictures.js';

export interface DataDrawCommandOptions extends AnnotationCommandOptions {
  readonly output: string;
  readonly limit: string;
  readonly followLinks?: boolean;
}

const sheetLimit = 36;

export async function runDataDraw(file: string, options: DataDrawCommandOptions): Promise<void> {
  const limit = wholeNumber('--limit', options.limit, 0, Number.MAX_SAFE_INTEGER);
  endTidilyOnSignals();
  const claim = claimOutput(options.output, { work: 'goshawk data draw', files: ['contact-sheet.png'] });
  try {
    await drawAll(file, options, limit);
  } finally {
    claim.release();
  }
}

async function drawAll(file: string, options: DataDrawCommandOptions, limit: number): Promise<void> {
  const { dataset, images: folder } = readAnnotations(annotationSource(file, options));
  if (folder === undefined)
    throw new InputError('usage', `${file}: --images is missing: name the folder that its file names start from`);
  const { categories } = dataset;
  const unreadable = unreadableNotice(categories.map(({ name }) => name));
  if (unreadable) console.error(`notice: ${unreadable}`);
  const byImage = new Map<number, Annotation[]>(dataset.images.map((image) => [image.id, []]));
  for (const annotation of dataset.annotations) byImage.get(annotation.imageId)?.push(annotation);
  const images = limit === 0 ? dataset.images : spread(dataset.images, limit);
  const locate = pictureLocator(folder, options);
  const line = createProgressLine();
  const started = performance.now();
  const sheet = new ContactSheet({ limit: sheetLimit });
  const unusable: InputError[] = [];
  for (const [index, record] of images.entries()) {
    const { path: pictureFile, problem } = locate(record);
    if (problem !== undefined)
      throw new InputError('annotation-invalid', `${file}: image id ${record.id}: ${problem.text}`);
    const picture = await decodeImageFile(pictureFile).catch(inputErrorOf);
    if (picture instanceof InputError) {
      unusable.push(picture);
      continue;
    }
    const drawn = drawDetections(picture, byImage.get(record.id) ?? [], { categories, canvas: nodeCanvas });
    const raw = { width: drawn.width, height: drawn.height, channels: 3 } as const;
    const png = await sharp(drawn.data, { raw }).png({ compressionLevel: 3 }).toBuffer();
    writeFileAtomic(path.join(options.output, drawnName(record)), png);
    await sheet.add(drawn, record.fileName);
    const rate = (index + 1) / ((performance.now() - started) / 1000);
    const left = formatDuration((images.length - index - 1) / rate);
    line.update(`${index + 1}/${images.length} drawn  ${rate.toFixed(1)} a second  ${left} left`);
  }
  line.done();
  if (unusable.length > 0 && unusable.length === images.length) throw noneUsable(unusable);
  const sheetFile = path.join(options.output, 'contact-sheet.png');
  writeFileAtomic(sheetFile, await sheet.encode());
  console.log(
    `${options.output}: ${images.length - unusable.length} of ${dataset.images.length} pictures drawn; ${sheetFile} shows ${sheet.count}`,
  );
  if (unusable.length > 0) throw someUnusable(unusable, `the others are in ${options.output}`);
}

/** A picture's fault as a value; others are thrown. */
function inputErrorOf(error: unknown): InputError {
  if (error instanceof InputError) return error;
  throw error;
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
