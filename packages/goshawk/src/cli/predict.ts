// goshawk predict: detections in pictures and films, written down and drawn.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Category, type Detection, drawDetections, InputError, type RgbImage } from '@goshawk/core';
import { removeTemporaryFiles } from '@goshawk/torch/checkpoint';
import sharp from 'sharp';
import { decodeImageFile, type Ffmpeg, requireFfmpeg, streamSource } from '../data/index.js';
import { isDiskFull, writeFileAtomic } from '../files/atomic-file.js';
import { claimOutput } from '../files/output-folder.js';
import { keptIn, openResultsFile, type ResultsFile } from '../files/results-file.js';
import { asRunFailure } from '../files/run-failure.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import {
  findMedia,
  type NamedImage,
  type OpenDetector,
  openDetector,
  readDescription,
  type StageTimes,
} from '../infer/index.js';
import { detectorKind } from '../models/index.js';
import { createProgressLine, formatDuration } from '../terminal/progress-line.js';
import { ContactSheet } from './contact-sheet.js';
import { DrawnNames } from './drawn-names.js';
import { openCommandConfig } from './open-command-config.js';
import { wholeNumber } from './parse-option.js';
import type { PicturePdf } from './picture-pdf.js';
import { type NamedVideo, predictVideos } from './predict-videos.js';
import { noneUsable, someUnusable } from './unusable-pictures.js';

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
  /** A device, and a URL, to take a film from. */
  readonly camera?: string;
  readonly stream?: string;
  /** Where films are left. */
  readonly maxFrames?: string;
  readonly seconds?: string;
  /** Frames of a film that the network takes at once. */
  readonly batchSize?: string;
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
  const limits = {
    maxFrames: options.maxFrames === undefined ? undefined : wholeNumber('--max-frames', options.maxFrames, 1, 1e12),
    maxSeconds: options.seconds === undefined ? undefined : numberOption('--seconds', options.seconds, 0, 1e-3, 1e9),
    batchSize: batchSizeFor(options.batchSize, config.runtime.device),
  };
  const unusable: InputError[] = [];
  const { images, videos, ffmpeg } = inputsOf(paths, options, (error) => unusable.push(error));
  endTidilyOnSignals();
  const claim = claimOutput(output, { work: 'goshawk predict', files: ['detections.json', PDF, SHEET] });
  try {
    const opened = openDetector({
      config,
      weights: options.weights,
      categories: readDescription(options.weights)?.categories,
    });
    const names = new DrawnNames(options.contactSheet ? [SHEET] : []);
    const shared = { opened, output, names, scoreThreshold, maxDetections, keypointThreshold };
    const onUnusable = (error: InputError): void => void unusable.push(error);
    const { exifOrientation } = config.data;
    // Where there is nothing but unusable pictures, that is what is said.
    if (images.length > 0 || videos.length === 0)
      await predictImages(images, { ...shared, exifOrientation, collections: options, unusable });
    const { predictor, preprocess, categories } = opened;
    const drawn = (detection: Detection) => withSureKeypoints(detection, keypointThreshold);
    const done = ffmpeg
      ? await predictVideos(videos, {
          ...shared,
          ...limits,
          ffmpeg,
          predictor,
          preprocess,
          categories,
          drawn,
          onUnusable,
        })
      : 0;
    if (images.length === 0 && done === 0) throw noneUsable(unusable);
    if (unusable.length > 0) throw endWith(unusable, output, { hasVideos: videos.length > 0 });
  } finally {
    claim.release();
  }
}

/** Everything that is to be looked at, in pictures and films. @throws InputError where a film is named and ffmpeg is missing */
function inputsOf(
  paths: readonly string[],
  { camera, stream }: PredictCommandOptions,
  onUnusable: (error: InputError) => void,
): { readonly images: readonly NamedImage[]; readonly videos: readonly NamedVideo[]; readonly ffmpeg?: Ffmpeg } {
  if (paths.length === 0 && camera === undefined && stream === undefined)
    throw new InputError(
      'usage',
      'goshawk predict: nothing to look at: name pictures, videos, folders, a --camera or a --stream',
    );
  const found = findMedia(paths, { onUnusable });
  const videos = [
    ...found.videos.map((named): NamedVideo => ({ ...named, source: { kind: 'file', path: named.path } })),
    ...(camera === undefined ? [] : [liveVideo('camera', { kind: 'camera', device: camera })]),
    ...(stream === undefined ? [] : [liveVideo('stream', streamSource(stream))]),
  ];
  const first = videos[0];
  if (!first) return { ...found, videos };
  return { images: found.images, videos, ffmpeg: requireFfmpeg(first.path) };
}

function liveVideo(name: string, source: NamedVideo['source']): NamedVideo {
  return { path: name, fileName: name, source };
}

/** On a card several frames at once take less time each; on processors one keeps them all busy. */
function batchSizeFor(text: string | undefined, device: string): number {
  if (text !== undefined) return wholeNumber('--batch-size', text, 1, 1024);
  return device === 'cpu' ? 1 : BATCH_ON_CARD;
}

const BATCH_ON_CARD = 8;

function endWith(
  unusable: readonly InputError[],
  output: string,
  { hasVideos }: { readonly hasVideos: boolean },
): Error {
  if (hasVideos) return someUnusable(unusable, `what could be done is in ${output}`, 'file');
  return someUnusable(unusable, `the others are in ${join(output, 'detections.json')}`);
}

interface ImagesWay {
  readonly opened: OpenDetector;
  readonly output: string;
  readonly names: DrawnNames;
  readonly scoreThreshold: number;
  readonly maxDetections: number;
  readonly keypointThreshold: number;
  readonly exifOrientation: Way['exifOrientation'];
  readonly collections: PredictCommandOptions;
  readonly unusable: InputError[];
}

/** Detects in all pictures. @throws InputError where none can be used */
async function predictImages(images: readonly NamedImage[], way: ImagesWay): Promise<void> {
  const { opened, output, names, scoreThreshold, maxDetections, keypointThreshold, exifOrientation, unusable } = way;
  const { predictor, categories } = opened;
  const { stages } = predictor;
  const collections = await openCollections(output, images.length, way.collections);
  const drawing = { keypointThreshold, categories, ...collections };
  const results = openResultsFile(join(output, 'detections.json'), { categories });
  try {
    await detectAndDraw(images, {
      exifOrientation,
      detect: (image) => {
        const [found = []] = predictor.predict([image]);
        return found.filter((detection) => detection.score >= scoreThreshold).slice(0, maxDetections);
      },
      ...{ output, names, results, drawing, stages },
      onUnusable: (error) => unusable.push(error),
    });
    if (results.pictures === 0) throw noneUsable(unusable);
    console.error(stages.describe(results.pictures));
    const extra = await writeCollections(output, drawing);
    results.finish();
    console.log(
      `${results.detections} objects in ${results.pictures} pictures: ${results.file}, ${['drawn beside it', ...extra].join('; ')}`,
    );
  } catch (error) {
    drawing.pdf?.abandon();
    if (results.pictures === 0) {
      results.abandon();
      throw error;
    }
    results.finish();
    throw asRunFailure(error, keptIn(results));
  }
}

const PDF = 'pictures.pdf';
const SHEET = 'contact-sheet.png';

/** All drawn pictures together, where they are asked for. */
interface Collections {
  readonly pdf?: PicturePdf;
  readonly sheet?: ContactSheet;
}

async function openCollections(
  output: string,
  pictures: number,
  { pdf, contactSheet }: PredictCommandOptions,
): Promise<Collections> {
  const file = join(output, PDF);
  return {
    ...(pdf && { pdf: new (await import('./picture-pdf.js')).PicturePdf(file, `${pictures} pictures`) }),
    ...(contactSheet && { sheet: new ContactSheet() }),
  };
}

/** @returns what there is, in words */
async function writeCollections(output: string, { pdf, sheet }: Collections): Promise<string[]> {
  const words: string[] = [];
  if (pdf) {
    await pdf.finish();
    words.push(`${join(output, PDF)} has them as pages`);
  }
  if (sheet) {
    writeFileAtomic(join(output, SHEET), await sheet.encode());
    words.push(`${join(output, SHEET)} shows ${sheet.count}`);
  }
  return words;
}

interface Way {
  readonly exifOrientation: 'apply' | 'ignore';
  detect(image: RgbImage): readonly Detection[];
  readonly output: string;
  readonly names: DrawnNames;
  readonly results: ResultsFile;
  readonly drawing: Collections & { readonly keypointThreshold: number; readonly categories: readonly Category[] };
  readonly stages: StageTimes;
  onUnusable(error: InputError): void;
}

/** What is wrong with one picture, or with the place of its drawing, does not keep the others from being done. */
async function detectAndDraw(
  images: readonly NamedImage[],
  { exifOrientation, detect, output, names, stages, results, drawing, onUnusable }: Way,
): Promise<void> {
  const { pdf, sheet, categories, keypointThreshold } = drawing;
  const line = createProgressLine();
  const started = performance.now();
  const prepared = new Set<string>();
  const decode = (index: number): Promise<RgbImage | InputError> | undefined => {
    const decoding = images[index] && orProblem(decodeImageFile(images[index].path, { exifOrientation }));
    // It is awaited later or, after an earlier failure, never.
    decoding?.catch(() => undefined);
    return decoding;
  };
  let next = decode(0);
  for (const [index, named] of images.entries()) {
    const { fileName } = named;
    const image = await stages.waiting('pictures', next!);
    next = decode(index + 1);
    let shown = '';
    if (image instanceof InputError) onUnusable(image);
    else {
      const kept = detect(image);
      results.add({ id: index + 1, fileName }, kept);
      shown = `  ${fileName}: ${kept.length} objects`;
      const sure = kept.map((detection) => withSureKeypoints(detection, keypointThreshold));
      const drawn = stages.during('drawing', () => drawDetections(image, sure, { categories }));
      const target = join(output, names.of(named));
      const problem = await stages.waiting('drawing', orProblem(writeDrawn(target, drawn, prepared)));
      if (problem instanceof InputError && isDiskFull(problem)) throw problem;
      if (problem instanceof InputError) onUnusable(problem);
      await pdf?.add(drawn, fileName);
      await sheet?.add(drawn, fileName);
    }
    const rate = (index + 1) / ((performance.now() - started) / 1000);
    const left = formatDuration((images.length - index - 1) / rate);
    line.update(`${index + 1}/${images.length}  ${rate.toFixed(2)} images/s  ${left} left${shown}`);
  }
  line.done();
}

async function writeDrawn(target: string, { data, width, height }: RgbImage, prepared: Set<string>): Promise<void> {
  const folder = dirname(target);
  const png = await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
  writeFileAtomic(target, png);
  // What a run that was killed left there.
  if (!prepared.has(folder)) removeTemporaryFiles(folder);
  prepared.add(folder);
}

/** A person's mistake as a value; other errors are thrown. */
async function orProblem<T>(work: Promise<T>): Promise<T | InputError> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
}

/** Hides the keypoints that the model is less sure of, for drawing. */
function withSureKeypoints(detection: Detection, threshold: number): Detection {
  const { keypoints, keypointLogits } = detection;
  if (!keypoints || !keypointLogits) return detection;
  const isSure = (value: number) => keypointLogits[Math.floor(value / 3)]! >= threshold;
  return { ...detection, keypoints: keypoints.map((value, i) => (i % 3 === 2 && !isSure(i) ? 0 : value)) };
}

function numberOption(name: string, text: string | undefined, otherwise: number, least: number, most: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text.trim() === '' || !(value >= least && value <= most))
    throw new InputError('usage', `${name} ${text}: expected a number from ${least} to ${most}`);
  return value;
}
