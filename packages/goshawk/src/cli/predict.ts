// goshawk predict: detections in pictures, written down and drawn.
import { existsSync, mkdirSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { type Detection, drawDetections, formatCocoResults, type ImageRecord, InputError } from '@goshawk/core';
import sharp from 'sharp';
import { decodeImageFile } from '../data/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { findImages, type NamedImage, openDetector, readDescription } from '../infer/index.js';
import { detectorKind } from '../models/index.js';
import { createProgressLine } from '../terminal/progress-line.js';
import { ContactSheet } from './contact-sheet.js';
import { openCommandConfig } from './open-command-config.js';

export interface PredictCommandOptions {
  readonly weights: string;
  readonly set?: readonly string[];
  readonly output?: string;
  readonly scoreThreshold?: string;
  readonly maxDetections?: string;
  readonly keypointThreshold?: string;
  /** Also all drawn pictures in one PDF. */
  readonly pdf?: boolean;
  /** Also all drawn pictures, small, in one PNG. */
  readonly contactSheet?: boolean;
}

export async function runPredict(
  configFile: string,
  paths: readonly string[],
  options: PredictCommandOptions,
): Promise<void> {
  const { config } = openCommandConfig(configFile, options.set);
  const scoreThreshold = numberOption('--score-threshold', options.scoreThreshold, 0.5, 0, 1);
  const maxDetections = numberOption('--max-detections', options.maxDetections, 100, 1, 10000);
  const keypointThreshold = numberOption('--keypoint-threshold', options.keypointThreshold, 2, -1000, 1000);
  const output = options.output ?? 'predictions';
  if (detectorKind(config.model).readsProposals)
    throw new InputError(
      'config-invalid',
      `${configFile}: model.proposals is stored, and pictures come without: use goshawk eval with data.val.proposals, or a model with an rpn`,
    );
  if (!existsSync(options.weights))
    throw new InputError('file-not-found', `${options.weights}: no such file: check the path`);
  const images = findImages(paths);
  const { predictor, categories } = openDetector({
    config,
    weights: options.weights,
    categories: readDescription(options.weights)?.categories,
  });
  const line = createProgressLine();
  const records: ImageRecord[] = [];
  const taken = new Set<string>();
  const all: Detection[] = [];
  const started = performance.now();
  const pdfFile = join(output, 'pictures.pdf');
  const pdf = options.pdf
    ? new (await import('./picture-pdf.js')).PicturePdf(pdfFile, `${images.length} pictures`)
    : undefined;
  const sheet = options.contactSheet ? new ContactSheet() : undefined;
  try {
    for (const [index, { path, fileName }] of images.entries()) {
      const image = await decodeImageFile(path, { exifOrientation: config.data.exifOrientation });
      const [found = []] = predictor.predict([image]);
      const kept = found.filter((detection) => detection.score >= scoreThreshold).slice(0, maxDetections);
      records.push({ id: index + 1, fileName, width: image.width, height: image.height });
      all.push(...kept.map((detection) => ({ ...detection, imageId: index + 1 })));
      const drawn = drawDetections(
        image,
        kept.map((detection) => withSureKeypoints(detection, keypointThreshold)),
        { categories },
      );
      const target = join(output, drawnName({ path, fileName }, taken));
      mkdirSync(dirname(target), { recursive: true });
      writeFileAtomic(
        target,
        await sharp(drawn.data, { raw: { width: drawn.width, height: drawn.height, channels: 3 } })
          .png()
          .toBuffer(),
      );
      await pdf?.add(drawn, fileName);
      await sheet?.add(drawn, fileName);
      const rate = (index + 1) / ((performance.now() - started) / 1000);
      line.update(`${index + 1}/${images.length}  ${rate.toFixed(2)} images/s  ${fileName}: ${kept.length} objects`);
    }
    await pdf?.finish();
  } catch (error) {
    pdf?.abandon();
    throw error;
  }
  line.done();
  const extra = pdf ? [`${pdfFile} has them as pages`] : [];
  if (sheet) {
    const sheetFile = join(output, 'contact-sheet.png');
    writeFileAtomic(sheetFile, await sheet.encode());
    extra.push(`${sheetFile} shows ${sheet.count}`);
  }
  const file = join(output, 'detections.json');
  writeFileAtomic(file, formatCocoResults(all, { images: records, annotations: [], categories }));
  console.log(
    `${all.length} objects in ${images.length} pictures: ${file}, ${['drawn beside it', ...extra].join('; ')}`,
  );
}

/** Hides the keypoints that the model is less sure of, for drawing. */
function withSureKeypoints(detection: Detection, threshold: number): Detection {
  const { keypoints, keypointLogits } = detection;
  if (!keypoints || !keypointLogits) return detection;
  const isSure = (value: number) => keypointLogits[Math.floor(value / 3)]! >= threshold;
  return { ...detection, keypoints: keypoints.map((value, i) => (i % 3 === 2 && !isSure(i) ? 0 : value)) };
}

/** A folder's a/b.jpg -> a/b.png, a file named by itself -> its last part; a number behind what is taken already. */
function drawnName({ path, fileName }: NamedImage, taken: Set<string>): string {
  const name = path === fileName ? basename(fileName) : fileName;
  const stem = name.slice(0, name.length - extname(name).length);
  let drawn = `${stem}.png`;
  for (let number = 2; taken.has(drawn); number++) drawn = `${stem}-${number}.png`;
  taken.add(drawn);
  return drawn;
}

function numberOption(name: string, text: string | undefined, otherwise: number, least: number, most: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text.trim() === '' || !(value >= least && value <= most))
    throw new InputError('usage', `${name} ${text}: expected a number from ${least} to ${most}`);
  return value;
}
