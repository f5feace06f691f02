// goshawk predict: detections in pictures and films, written down and drawn. One photo waits for every module that is read here:
// rooms are imported by the file, and what only films or collections need when they are asked for.
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import {
  type Category,
  type Detection,
  drawDetections,
  InputError,
  type InputErrorCode,
  type RgbImage,
} from '@goshawk/core';
import type { ProcessGroup } from '@goshawk/torch';
import { removeTemporaryFiles } from '@goshawk/torch/checkpoint';
import sharp from 'sharp';
import { decodeImageFile } from '../data/decode-image.js';
import { type Ffmpeg, requireFfmpeg } from '../data/video/ffmpeg.js';
import { streamSource } from '../data/video/video-source.js';
import { nodeCanvas, unreadableNotice } from '../drawing/index.js';
import { isDiskFull, writeFileAtomic } from '../files/atomic-file.js';
import { isBelow } from '../files/common-folder.js';
import { claimOutput, requireNotInput } from '../files/output-folder.js';
import { keptIn, openResultsFile } from '../files/results-file.js';
import { asRunFailure } from '../files/run-failure.js';
import { sha256Of } from '../files/sha256.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { readDescription } from '../infer/detector-file.js';
import { findMedia, type NamedImage } from '../infer/find-images.js';
import { gatherOutcomes } from '../infer/gather-outcomes.js';
import { type OpenDetector, openDetector } from '../infer/open-detector.js';
import { requireSameRun } from '../infer/same-run.js';
import type { StageTimes } from '../infer/stage-times.js';
import { withSureKeypoints } from '../infer/sure-keypoints.js';
import { findWeights } from '../infer/weights-cache.js';
import { detectorKind } from '../models/index.js';
import { counted } from '../terminal/counted.js';
import { createProgressLine, formatDuration } from '../terminal/progress-line.js';
import type { ContactSheet } from './contact-sheet.js';
import { DrawnNames } from './drawn-names.js';
import type { OwnRank } from './in-ranks.js';
import { openCommandConfig } from './open-command-config.js';
import { wholeNumber } from './parse-option.js';
import type { PicturePdf } from './picture-pdf.js';
import type { NamedVideo } from './predict-videos.js';
import { onRankDevice, openRankGroup, requireAlone } from './rank-group.js';
import { type ScoreThreshold, scoreThresholdRule } from './score-threshold.js';
import { noneUsable, someUnusable } from './unusable-pictures.js';
import { weightsOf } from './weights-argument.js';

export interface PredictCommandOptions {
  /** Default: the config's place has them. */
  readonly weights?: string;
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
  /** This process as one of several that share the pictures. */
  readonly rank?: OwnRank;
}

export async function runPredict(
  configFile: string,
  paths: readonly string[],
  given: PredictCommandOptions,
): Promise<void> {
  const options = { ...given, weights: weightsOf('predict', configFile, given) };
  const { rank } = options;
  const isWriter = rank === undefined || rank.place.rank === 0;
  const opening = openCommandConfig(configFile, options.set, { quiet: !isWriter });
  const config = onRankDevice(opening.config, rank);
  const maxDetections = numberOption('--max-detections', options.maxDetections, 100, 1, 10000);
  const keypointThreshold = numberOption('--keypoint-threshold', options.keypointThreshold, 2, -1000, 1000);
  const output = options.output ?? 'predictions';
  if (detectorKind(config.model).readsProposals)
    throw new InputError(
      'config-invalid',
      `${configFile}: model.proposals is stored, and pictures come without: use goshawk eval with data.val.proposals, or a model with an rpn`,
    );
  const weights = findWeights(options.weights, '--weights');
  const thresholdRule = scoreThresholdRule(options.scoreThreshold, weights);
  const limits = {
    maxFrames: options.maxFrames === undefined ? undefined : wholeNumber('--max-frames', options.maxFrames, 1, 1e12),
    maxSeconds: options.seconds === undefined ? undefined : numberOption('--seconds', options.seconds, 0, 1e-3, 1e9),
    batchSize: batchSizeFor(options.batchSize, config.runtime.device),
  };
  const unusable: InputError[] = [];
  const { images, videos, ffmpeg, left } = inputsOf(paths, { ...options, output }, (error) => unusable.push(error));
  if (left > 0 && isWriter)
    console.error(
      `notice: ${output}: ${left === 1 ? 'a picture or video' : `${left} pictures and videos`} of earlier predictions left aside`,
    );
  // A film's frames follow one another: they are one process's work.
  requireAlone(rank, `${videos[0]?.fileName}`, videos[0]);
  // While it waits for the others there is nothing to end tidily, and nobody to do so.
  const group = rank && openRankGroup(rank, config);
  endTidilyOnSignals();
  const claim = isWriter
    ? claimOutput(output, { work: 'goshawk predict', files: ['detections.json', PDF, SHEET] })
    : undefined;
  try {
    const names = new DrawnNames(options.contactSheet ? [SHEET] : []);
    const targets = images.map((named) => join(output, names.of(named)));
    if (isWriter) {
      requireNotInput(
        targets,
        images.map(({ path }) => path),
      );
      removeLeftovers(targets);
    }
    const ranks = group && { group, onOwn: () => rank.link?.tick() };
    const opened = openDetector({
      config,
      weights,
      categories: readDescription(weights)?.categories,
      pictures: videos.length === 0 && !group ? images.length : undefined,
    });
    const scoreThreshold = thresholdRule(opened.categories);
    if (group)
      requireSameRun(group, config, {
        'the checksum of --weights': sha256Of(weights),
        '--score-threshold': options.scoreThreshold ?? 'none',
        ...{ '--max-detections': maxDetections, '--keypoint-threshold': keypointThreshold },
        pictures: images.map(({ fileName }) => fileName),
      });
    const unreadable = unreadableNotice(opened.categories.map(({ name }) => name));
    if (unreadable && isWriter) console.error(`notice: ${unreadable}`);
    const shared = { opened, output, names, scoreThreshold, maxDetections, keypointThreshold };
    const onUnusable = (error: InputError): void => void unusable.push(error);
    const { exifOrientation } = config.data;
    // Where there is nothing but unusable pictures, that is what is said.
    if (images.length > 0 || videos.length === 0)
      await predictImages(images, { ...shared, targets, exifOrientation, collections: options, unusable, ranks });
    group?.close();
    if (!isWriter) return;
    const { predictor, preprocess, categories } = opened;
    const drawn = (detection: Detection) => withSureKeypoints(detection, keypointThreshold);
    const done = ffmpeg
      ? await (await import('./predict-videos.js')).predictVideos(videos, {
          ...shared,
          ...limits,
          ffmpeg,
          predictor,
          preprocess,
          categories,
          drawn,
          onUnusable,
          // A tracker looks at all categories alike.
          scoreThreshold: scoreThreshold.overall,
        })
      : 0;
    if (images.length === 0 && done === 0) throw noneUsable(unusable);
    if (unusable.length > 0) throw endWith(unusable, output, { hasVideos: videos.length > 0 });
  } finally {
    claim?.release();
  }
}

/** Everything that is to be looked at, in pictures and films. @throws InputError where a film is named and ffmpeg is missing */
function inputsOf(
  paths: readonly string[],
  { camera, stream, output }: PredictCommandOptions & { readonly output: string },
  onUnusable: (error: InputError) => void,
): {
  readonly images: readonly NamedImage[];
  readonly videos: readonly NamedVideo[];
  readonly ffmpeg?: Ffmpeg;
  /** Files of earlier predictions, in an output folder that lies in one that was named. */
  readonly left: number;
} {
  if (paths.length === 0 && camera === undefined && stream === undefined)
    throw new InputError(
      'usage',
      'goshawk predict: nothing to look at: name pictures, videos, folders, a --camera or a --stream',
    );
  const all = findMedia(paths, { onUnusable });
  const isOwn = ({ path, fileName }: NamedImage) => path === fileName || !isDrawn(path, paths, output);
  const found = { images: all.images.filter(isOwn), videos: all.videos.filter(isOwn) };
  const left = all.images.length + all.videos.length - found.images.length - found.videos.length;
  if (left > 0 && found.images.length + found.videos.length === 0 && camera === undefined && stream === undefined)
    throw new InputError(
      'file-not-found',
      `${output}: has all the pictures and videos that were named, of earlier predictions: name another folder`,
    );
  const videos = [
    ...found.videos.map((named): NamedVideo => ({ ...named, source: { kind: 'file', path: named.path } })),
    ...(camera === undefined ? [] : [liveVideo('camera', { kind: 'camera', device: camera })]),
    ...(stream === undefined ? [] : [liveVideo('stream', streamSource(stream))]),
  ];
  const first = videos[0];
  if (!first) return { ...found, videos, left };
  return { images: found.images, videos, ffmpeg: requireFfmpeg(first.path), left };
}

/** Whether a file lies in the output folder, and that in a folder that was named; who names the output folder itself means its files. */
function isDrawn(path: string, paths: readonly string[], output: string): boolean {
  const folder = resolve(output);
  return (
    isBelow(folder, resolve(path)) &&
    !paths.some((named) => resolve(named) === folder || isBelow(folder, resolve(named)))
  );
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
  /** Files of the drawn pictures. */
  readonly targets: readonly string[];
  readonly scoreThreshold: ScoreThreshold;
  readonly maxDetections: number;
  readonly keypointThreshold: number;
  readonly exifOrientation: PictureWork['exifOrientation'];
  readonly collections: PredictCommandOptions;
  readonly unusable: InputError[];
  /** The processes that share the pictures. */
  readonly ranks: Ranks | undefined;
}

/** Detects in all pictures. @throws InputError where none can be used */
async function predictImages(images: readonly NamedImage[], way: ImagesWay): Promise<void> {
  const { opened, output, targets, scoreThreshold, maxDetections, keypointThreshold, exifOrientation } = way;
  const { unusable, ranks } = way;
  const { predictor, categories } = opened;
  const { stages } = predictor;
  let surest = 0;
  const work: PictureWork = {
    ...{ images, targets, stages, exifOrientation },
    detect(image) {
      const [found = []] = predictor.predict([image]);
      for (const { score } of found) surest = Math.max(surest, score);
      return found.filter((detection) => scoreThreshold.keeps(detection)).slice(0, maxDetections);
    },
    drawing: {
      keypointThreshold,
      categories,
      isCollected: Boolean(way.collections.pdf || way.collections.contactSheet),
    },
  };
  if (ranks && ranks.group.rank > 0) {
    try {
      return await forEachPicture(work, ranks, () => {});
    } catch (error) {
      // Of work that had begun: rank 0 has what is kept, and needs the time to write it.
      throw asRunFailure(error);
    }
  }
  const collections = await openCollections(output, images.length, way.collections);
  const results = openResultsFile(join(output, 'detections.json'), { categories });
  const line = createProgressLine();
  const started = performance.now();
  let done = 0;
  try {
    await forEachPicture(work, ranks, async (place, { detections, drawn, problems }) => {
      const { fileName } = images[place]!;
      unusable.push(...problems.map(({ code, message }) => new InputError(code, message)));
      if (detections) results.add({ id: place + 1, fileName }, detections, place);
      if (drawn) await collect(drawn, fileName, collections);
      done += 1;
      const rate = done / ((performance.now() - started) / 1000);
      const left = formatDuration((images.length - done) / rate);
      const shown = detections ? `  ${fileName}: ${counted(detections.length, 'object')}` : '';
      line.update(`${done}/${images.length}  ${rate.toFixed(2)} images/s  ${left} left${shown}`);
    });
    line.done();
    if (results.pictures === 0) throw noneUsable(unusable);
    if (!ranks) console.error(stages.describe(results.pictures));
    // Of several processes this one knows its own pictures alone.
    if (results.detections === 0 && !ranks) console.error(`notice: ${nothingFound(surest, scoreThreshold.overall)}`);
    const extra = await writeCollections(output, collections);
    results.finish();
    console.log(
      `${counted(results.detections, 'object')} in ${counted(results.pictures, 'picture')}: ${results.file}, ${['drawn beside it', ...extra].join('; ')}`,
    );
  } catch (error) {
    collections.pdf?.abandon();
    if (results.pictures === 0) {
      results.abandon();
      throw error;
    }
    results.finish();
    throw asRunFailure(error, keptIn(results));
  }
}

/** A model of a few minutes is seldom sure, and that looks as if it had learned nothing. */
function nothingFound(surest: number, threshold: number): string {
  if (surest === 0) return 'the model found nothing at all, not even below the threshold';
  return `no object reaches its score threshold (${threshold.toPrecision(2)}), the surest has ${surest.toPrecision(2)}: lower --score-threshold`;
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
    ...(contactSheet && { sheet: new (await import('./contact-sheet.js')).ContactSheet() }),
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

/** Adds a drawn picture to what shows all of them. */
async function collect(png: Uint8Array, fileName: string, { pdf, sheet }: Collections): Promise<void> {
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  const drawn = {
    width: info.width,
    height: info.height,
    data: new Uint8Array(data.buffer, data.byteOffset, data.length),
  };
  await pdf?.add(drawn, fileName);
  await sheet?.add(drawn, fileName);
}

/** What a run that was killed left where pictures will be drawn. */
function removeLeftovers(targets: readonly string[]): void {
  for (const folder of new Set(targets.map((target) => dirname(target))))
    if (existsSync(folder)) removeTemporaryFiles(folder);
}

/** The processes that share the pictures. */
interface Ranks {
  readonly group: ProcessGroup;
  /** Is told that one of this process's own pictures is done. */
  readonly onOwn: () => void;
}

interface PictureWork {
  readonly stages: StageTimes;
  readonly images: readonly NamedImage[];
  readonly targets: readonly string[];
  readonly exifOrientation: 'apply' | 'ignore';
  detect(image: RgbImage): readonly Detection[];
  readonly drawing: {
    readonly keypointThreshold: number;
    readonly categories: readonly Category[];
    /** Whether the drawn picture itself is wanted. */
    readonly isCollected: boolean;
  };
}

/** What came of a picture. Plain data: it may come from another process. */
interface PictureOutcome {
  /** Absent where it could not be read. */
  readonly detections?: readonly Detection[];
  /** The drawn picture as PNG. */
  readonly drawn?: Uint8Array;
  /** What is wrong with the picture, or with the place of its drawing; others are done nevertheless. */
  readonly problems: readonly { readonly code: InputErrorCode; readonly message: string }[];
}

/** Detects in all pictures and draws them, alone or as one of several processes. @param take gets the outcomes in order */
async function forEachPicture(
  work: PictureWork,
  ranks: Ranks | undefined,
  take: (place: number, outcome: PictureOutcome) => Promise<void> | void,
): Promise<void> {
  const total = work.images.length;
  if (ranks === undefined) {
    let place = 0;
    for await (const outcome of detectAndDraw(work, { first: 0, every: 1 })) await take(place++, outcome);
    return;
  }
  const { group, onOwn } = ranks;
  const own = detectAndDraw(work, { first: group.rank, every: group.size }, onOwn);
  let taken = Promise.resolve();
  await gatherOutcomes({
    group,
    total,
    own,
    onOutcome: (place, outcome) => {
      taken = taken.then(() => take(place, outcome));
      // A failure shows where all are awaited.
      taken.catch(() => undefined);
    },
  });
  await taken;
}

async function* detectAndDraw(
  { images, targets, stages, exifOrientation, detect, drawing }: PictureWork,
  { first, every }: { readonly first: number; readonly every: number },
  onOwn?: () => void,
): AsyncGenerator<PictureOutcome, void, void> {
  const decode = (index: number): Promise<RgbImage | InputError> | undefined => {
    const decoding = images[index] && orProblem(decodeImageFile(images[index].path, { exifOrientation }));
    // It is awaited later or, after an earlier failure, never.
    decoding?.catch(() => undefined);
    return decoding;
  };
  let next = decode(first);
  for (let index = first; index < images.length; index += every) {
    const image = await stages.waiting('pictures', next!);
    next = decode(index + every);
    if (image instanceof InputError) yield { problems: [{ code: image.code, message: image.message }] };
    else {
      const detections = detect(image);
      const sure = detections.map((detection) => withSureKeypoints(detection, drawing.keypointThreshold));
      const drawn = stages.during('drawing', () =>
        drawDetections(image, sure, { categories: drawing.categories, canvas: nodeCanvas }),
      );
      const png = await stages.waiting('drawing', encoded(drawn));
      const problem = orWriteProblem(targets[index]!, png);
      if (problem && isDiskFull(problem)) throw problem;
      const problems = problem ? [{ code: problem.code, message: problem.message }] : [];
      yield { detections, problems, ...(drawing.isCollected && { drawn: png }) };
    }
    onOwn?.();
  }
}

function encoded({ data, width, height }: RgbImage): Promise<Buffer> {
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

function orWriteProblem(target: string, png: Uint8Array): InputError | undefined {
  try {
    writeFileAtomic(target, png);
    return undefined;
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
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

function numberOption(name: string, text: string | undefined, otherwise: number, least: number, most: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text.trim() === '' || !(value >= least && value <= most))
    throw new InputError('usage', `${name} ${text}: expected a number from ${least} to ${most}`);
  return value;
}
