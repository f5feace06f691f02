// goshawk predict on films: each one's detections as JSON lines, and the film with them drawn.
import { renameSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Category, type Detection, type DrawnItem, InputError } from '@goshawk/core';
import { removeTemporaryFiles } from '@goshawk/torch/checkpoint';
import type { PreprocessConfig } from '../config/index.js';
import {
  addAudio,
  type Ffmpeg,
  framesPerSecond,
  probeVideo,
  sourceName,
  type VideoFacts,
  type VideoSource,
} from '../data/index.js';
import { describeWriteError } from '../files/atomic-file.js';
import { type FramesFile, openFramesFile } from '../files/frames-file.js';
import { growingName } from '../files/results-file.js';
import { asRunFailure, RunFailure } from '../files/run-failure.js';
import { detectInVideo, type NamedImage, type Predictor, type VideoOutcome, VideoWriteError } from '../infer/index.js';
import { counted } from '../terminal/counted.js';
import { createProgressLine, formatDuration, type ProgressLine } from '../terminal/progress-line.js';
import type { DrawnNames } from './drawn-names.js';

/** A film, and what its drawn one is called after. */
export interface NamedVideo extends NamedImage {
  readonly source: VideoSource;
}

export interface PredictVideosOptions {
  readonly ffmpeg: Ffmpeg;
  readonly predictor: Predictor;
  readonly preprocess: PreprocessConfig;
  readonly categories: readonly Category[];
  readonly output: string;
  readonly names: DrawnNames;
  readonly scoreThreshold: number;
  readonly maxDetections: number;
  readonly batchSize: number;
  readonly maxFrames: number | undefined;
  readonly maxSeconds: number | undefined;
  /** What is drawn of a detection. */
  readonly drawn: (detection: Detection) => DrawnItem;
  /** A film that cannot be used, or only a part of it. */
  readonly onUnusable: (error: InputError) => void;
}

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/**
 * One film after the other. A signal ends the one that is being done, which is kept up to there, and then the process; a second one ends
 * it at once.
 * @returns how many were done
 * @throws RunFailure where one cannot be written
 */
export async function predictVideos(videos: readonly NamedVideo[], options: PredictVideosOptions): Promise<number> {
  const stopping = new AbortController();
  let stoppedBy: keyof typeof SIGNALS | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stoppedBy !== undefined) process.exit(128 + SIGNALS[stoppedBy]);
    stoppedBy = signal as keyof typeof SIGNALS;
    stopping.abort();
  };
  for (const signal of Object.keys(SIGNALS)) process.on(signal, onSignal);
  let done = 0;
  try {
    for (const video of videos) {
      const kept = await predictVideo(video, options, stopping.signal);
      if (kept !== undefined) done += 1;
      if (stoppedBy === undefined) continue;
      process.stderr.write(`stopped by ${stoppedBy}: ${kept ?? 'nothing was done'}\n`);
      process.exit(128 + SIGNALS[stoppedBy]);
    }
  } finally {
    for (const signal of Object.keys(SIGNALS)) process.off(signal, onSignal);
  }
  return done;
}

/** @returns what there is of it, in words; undefined where it cannot be used */
async function predictVideo(
  video: NamedVideo,
  options: PredictVideosOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { output, names, onUnusable } = options;
  const { source } = video;
  let facts: VideoFacts;
  try {
    facts = await probeVideo(source, signal);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    if (!signal.aborted) onUnusable(error);
    return undefined;
  }
  const film = join(output, names.of(video, '.mp4'));
  refuseToReplace(film, source);
  const frames = openFramesFile(film.replace(/\.mp4$/, '.detections.jsonl'), options.categories);
  // What a run that was killed left there.
  removeTemporaryFiles(output);
  const started = performance.now();
  const line = createProgressLine();
  let outcome: VideoOutcome;
  try {
    outcome = await detect(video, facts, { ...options, film, frames, line, signal });
  } catch (error) {
    line.done();
    throw failure(error, film, frames);
  }
  line.done();
  if (outcome.frames === 0) {
    frames.abandon();
    rmSync(growingName(film), { force: true });
    if (!signal.aborted) onUnusable(noFrames(source, outcome));
    return undefined;
  }
  const silent = await giveName(film, source, facts, outcome, options.ffmpeg);
  frames.finish();
  const kept = `${film} and ${frames.file} have the ${frames.detections} objects of ${counted(outcome.frames, 'frame')}`;
  if (silent !== undefined)
    onUnusable(
      new InputError(
        'video-invalid',
        `${sourceName(source)}: its sound could not be kept (${silent}): ${film} is without`,
      ),
    );
  if (!signal.aborted) {
    const lack = missingSeconds(facts, outcome);
    if (lack !== undefined) onUnusable(cutOff(source, facts, outcome, film));
    else if (outcome.decoding.reason)
      console.error(
        `notice: ${sourceName(source)}: ffmpeg met damage in it (${outcome.decoding.reason}): some frames may be wrong`,
      );
  }
  report(video, frames, film, outcome, (performance.now() - started) / 1000);
  return kept;
}

interface Way extends PredictVideosOptions {
  readonly film: string;
  readonly frames: FramesFile;
  readonly line: ProgressLine;
  readonly signal: AbortSignal;
}

function detect({ source, fileName }: NamedVideo, facts: VideoFacts, way: Way): Promise<VideoOutcome> {
  const { film, frames, line, maxFrames, maxSeconds } = way;
  const started = performance.now();
  let begin: number | undefined;
  return detectInVideo({
    ...{ source, facts, signal: way.signal, maxFrames, maxSeconds, file: growingName(film) },
    ...{ ffmpeg: way.ffmpeg, predictor: way.predictor, preprocess: way.preprocess, drawn: way.drawn },
    ...{ scoreThreshold: way.scoreThreshold, maxDetections: way.maxDetections },
    // Whoever watches wants to see what is, not what was.
    batchSize: source.kind === 'file' ? way.batchSize : 1,
    drawing: { categories: way.categories },
    onFrames: (done) => {
      for (const { index, seconds, detections } of done) frames.add({ index, seconds, fileName }, detections);
      const { index, seconds, detections } = done.at(-1)!;
      begin ??= done[0]!.seconds;
      const rate = (index + 1) / ((performance.now() - started) / 1000);
      const share = shareDone(facts, index + 1, seconds - begin, way);
      const left = share && formatDuration((((performance.now() - started) / 1000) * (1 - share)) / share);
      const place = facts.frames?.isExact ? `${index + 1}/${facts.frames.count}` : `${index + 1} frames`;
      line.update(
        `${fileName}: ${place}  ${rate.toFixed(2)} frames/s  ${left ? `${left} left` : formatDuration(seconds - begin)}  ${counted(detections.length, 'object')}`,
      );
    },
  });
}

/** How much of the work is done, 0 to 1; undefined for what has no end. */
function shareDone(
  facts: VideoFacts,
  frames: number,
  seconds: number,
  { maxFrames, maxSeconds }: Pick<PredictVideosOptions, 'maxFrames' | 'maxSeconds'>,
): number | undefined {
  const shares = [
    facts.frames?.isExact ? frames / facts.frames.count : undefined,
    facts.duration && seconds / facts.duration,
    maxFrames && frames / maxFrames,
    maxSeconds && seconds / maxSeconds,
  ].filter((share) => share !== undefined);
  return shares.length === 0 ? undefined : Math.min(Math.max(...shares), 1);
}

/** The drawn film under its name, with the sound of its source. @returns why the sound is missing */
async function giveName(
  film: string,
  source: VideoSource,
  facts: VideoFacts,
  outcome: VideoOutcome,
  ffmpeg: Ffmpeg,
): Promise<string | undefined> {
  const drawn = growingName(film);
  let problem: string | undefined;
  if (source.kind === 'file' && facts.audio.length > 0) {
    const file = join(film, '..', `.${basename(film)}.${process.pid}.tmp`);
    const isWhole = outcome.endedBy === 'source';
    problem = await addAudio({
      ...{ video: drawn, source: source.path, codecs: facts.audio, file, ffmpeg },
      firstFrame: outcome.begin,
      ...(isWhole ? {} : { until: outcome.end }),
    });
    if (problem === undefined) renameSync(file, drawn);
    else rmSync(file, { force: true });
  }
  try {
    renameSync(drawn, film);
  } catch (error) {
    throw describeWriteError(film, error);
  }
  return problem;
}

function refuseToReplace(film: string, source: VideoSource): void {
  if (source.kind !== 'file') return;
  const [target, own] = [film, source.path].map((path) => statSync(path, { throwIfNoEntry: false }));
  if (target && own && target.ino === own.ino && target.dev === own.dev)
    throw new InputError('usage', `${film}: is the video itself: choose another --output`);
}

/** What is kept of a film that could not be done to its end. */
function failure(error: unknown, film: string, frames: FramesFile): unknown {
  const kept =
    frames.frames > 0
      ? `${frames.file} has the ${frames.detections} objects of ${counted(frames.frames, 'frame')}`
      : undefined;
  if (kept === undefined) frames.abandon();
  else frames.finish();
  if (error instanceof VideoWriteError) {
    rmSync(growingName(film), { force: true });
    return new RunFailure(
      `${film}: cannot be written (${error.message}): make room or choose another place${kept ? `; ${kept}` : ''}`,
      { cause: error },
    );
  }
  return asRunFailure(error, kept);
}

function noFrames(source: VideoSource, { decoding }: VideoOutcome): InputError {
  const why = decoding.reason === undefined ? '' : ` (${decoding.reason})`;
  return new InputError(
    'video-invalid',
    `${sourceName(source)}: no frame of it can be decoded${why}: replace the file`,
  );
}

function cutOff(
  source: VideoSource,
  facts: VideoFacts,
  { frames, begin, end, decoding }: VideoOutcome,
  film: string,
): InputError {
  const total = facts.duration === undefined ? '' : ` of ${facts.duration.toFixed(1)}`;
  const why = decoding.reason ?? `ffmpeg ended with exit code ${decoding.code}`;
  return new InputError(
    'video-invalid',
    `${sourceName(source)}: is damaged or cut off: ends after ${counted(frames, 'frame')}, ${(end - begin).toFixed(1)}${total} s (${why}): ${film} has them, replace the file for the others`,
  );
}

/** Seconds of a film that ffmpeg could not read, though the film says that it has them. */
function missingSeconds(facts: VideoFacts, { endedBy, decoding, begin, end }: VideoOutcome): number | undefined {
  if (endedBy !== 'source' || (decoding.code === 0 && decoding.reason === undefined)) return undefined;
  const missing = (facts.duration ?? 0) - (end - begin);
  return decoding.code !== 0 || missing > 1.5 / framesPerSecond(facts) ? Math.max(missing, 0) : undefined;
}

function report(video: NamedVideo, frames: FramesFile, film: string, outcome: VideoOutcome, seconds: number): void {
  const found = `${counted(frames.detections, 'object')} in ${counted(outcome.frames, 'frame')}, ${counted(outcome.tracks, 'track')}`;
  const rate = (outcome.frames / seconds).toFixed(2);
  console.log(`${video.fileName}: ${found}: ${frames.file}, drawn in ${film}`);
  console.log(`${rate} frames/s; per frame ${outcome.stages.describeEach(outcome.frames)}`);
}
