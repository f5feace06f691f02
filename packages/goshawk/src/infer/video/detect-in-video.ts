// A film's way: frames are read and prepared by one thread, the network has this one, drawing and writing have a third; ffmpeg decodes
// and encodes in processes of its own.
import { setImmediate } from 'node:timers/promises';
import { MessageChannel, Worker } from 'node:worker_threads';
import {
  ByteTracker,
  type Detection,
  type DrawnItem,
  type DrawStyle,
  type Preprocess,
  rleToBbox,
  type TrackedDetection,
} from '@goshawk/core';
import {
  type DecodingEnd,
  type Ffmpeg,
  framesPerSecond,
  type Ratio,
  type VideoFacts,
  type VideoSource,
} from '../../data/video/index.js';
import { atExit } from '../../files/tidy-end.js';
import type { PendingDetections, Predictor } from '../predictor.js';
import { batchLayout } from '../prepare-batch.js';
import { StageTimes } from '../stage-times.js';
import {
  type DrawerSetup,
  type FrameSlot,
  type FromDrawer,
  type FromReader,
  frameOf,
  type ReaderSetup,
  SLOTS,
  type ToDrawer,
  type ToReader,
} from './frame-messages.js';

export interface FrameDetections {
  /** Place in the film, counted from 0. */
  readonly index: number;
  /** When it is shown, seconds from the film's begin. */
  readonly seconds: number;
  /** Best first. */
  readonly detections: readonly TrackedDetection[];
}

export interface VideoDetectionOptions {
  readonly source: VideoSource;
  readonly facts: VideoFacts;
  readonly ffmpeg: Ffmpeg;
  readonly predictor: Predictor;
  readonly preprocess: Preprocess;
  /** Frames that the network takes at once. */
  readonly batchSize: number;
  /** What is kept: at least this score, so many a frame. What scores lower still helps to follow an object. */
  readonly scoreThreshold: number;
  readonly maxDetections: number;
  /** The drawn film, to be written. */
  readonly file: string;
  readonly drawing: DrawStyle;
  /** What is drawn of a detection; default all of it. */
  readonly drawn?: (detection: TrackedDetection) => DrawnItem;
  /** Where the film is left; default at its end. */
  readonly maxFrames?: number | undefined;
  readonly maxSeconds?: number | undefined;
  /** Ends it early: what was detected in is drawn and written, and the film is whole. */
  readonly signal?: AbortSignal;
  /** Is told of frames in their order. What it throws ends the work. */
  readonly onFrames: (frames: readonly FrameDetections[]) => void;
}

export interface VideoOutcome {
  readonly frames: number;
  /** Of the first and behind the last frame, seconds of the film. */
  readonly begin: number;
  readonly end: number;
  /** Objects followed. */
  readonly tracks: number;
  readonly stages: StageTimes;
  /** Why no more frames were done; `source` where the film ended or was cut off. */
  readonly endedBy: 'source' | 'limit' | 'signal';
  readonly decoding: DecodingEnd;
}

/** The drawn film could not be written. */
export class VideoWriteError extends Error {
  override readonly name = 'VideoWriteError';
}

/** ByteTrack's: what scores less is not looked at. */
const LOWEST_SCORE = 0.1;

/** Stages that the predictor measures. */
const OF_PREDICTOR = ['network', 'post-processing'] as const;

/** @throws VideoWriteError; what `onFrames` or the engine throws. No ffmpeg is left then. */
export async function detectInVideo(options: VideoDetectionOptions): Promise<VideoOutcome> {
  const { facts, predictor, signal } = options;
  const threads = new VideoThreads(options);
  const stages = new StageTimes();
  const earlier = {
    network: predictor.stages.of('network'),
    'post-processing': predictor.stages.of('post-processing'),
  };
  const tracker = trackerFor(options);
  // On a card the host reads what was found in one batch while the next is computed.
  const isAhead = predictor.device !== 'cpu' && !predictor.isAugmented;
  let launched: Launched | undefined;
  let frames = 0;
  let hasBegun = false;
  let [begin, last] = [0, 0];
  let endMessage: (FromReader & { readonly kind: 'end' }) | undefined;

  const complete = ({ message, pending }: Launched): void => {
    const found = pending.read();
    const done = found.map((own, place): FrameDetections => {
      const index = frames + place;
      return { index, seconds: message.times[place]!, detections: keep(own, index, tracker, options) };
    });
    frames += done.length;
    options.onFrames(done);
    const items = done.map(({ detections }) => (options.drawn ? detections.map(options.drawn) : detections));
    threads.draw({ kind: 'draw', slot: message.slot, times: message.times, items });
  };

  try {
    while (endMessage === undefined) {
      // Frames that come as quickly as they are done would else keep signals waiting.
      await setImmediate();
      const message = await threads.next();
      if (message.kind === 'end') endMessage = message;
      else if (signal?.aborted) continue;
      else {
        if (!hasBegun) {
          begin = message.times[0]!;
          await threads.begin(message.tick);
          hasBegun = true;
        }
        last = message.times.at(-1)!;
        stages.add('decoding', message.decodeMs);
        stages.add('pictures', message.prepareMs);
        const now = { message, pending: launch(message, threads.slots, options) };
        if (launched) complete(launched);
        launched = isAhead ? now : undefined;
        if (!isAhead) complete(now);
      }
    }
    if (launched) complete(launched);
    const drawn = await threads.finish();
    stages.add('drawing', drawn.drawMs);
    stages.add('encoding', drawn.encodeMs);
    for (const stage of OF_PREDICTOR) stages.add(stage, predictor.stages.of(stage) - earlier[stage]);
  } finally {
    await threads.close();
  }
  return {
    frames,
    begin,
    end: frames === 0 ? begin : last + 1 / framesPerSecond(facts),
    tracks: tracker.count,
    stages,
    endedBy: signal?.aborted ? 'signal' : endMessage.reachedLimit ? 'limit' : 'source',
    decoding: endMessage.end,
  };
}

type FramesMessage = FromReader & { readonly kind: 'frames' };

interface Launched {
  readonly message: FramesMessage;
  readonly pending: PendingDetections;
}

function launch(
  { slot, times }: FramesMessage,
  slots: readonly FrameSlot[],
  { predictor, preprocess, facts }: VideoDetectionOptions,
): PendingDetections {
  const { prepared } = slots[slot]!;
  const images = times.map((_, place) => frameOf(slots[slot]!, place, facts));
  if (!prepared) {
    const found = images.map((image) => predictor.predictAugmented(image));
    return { read: () => found };
  }
  const { images: described, width, height } = batchLayout(images, preprocess);
  return predictor.launchBatch({
    pixels: new Float32Array(prepared, 0, images.length * height * width * 3),
    width,
    height,
    images: described.map((sizes, imageId) => ({ ...sizes, imageId })),
  });
}

/** Everything above the threshold begins a track, so that what is shown has a number. */
function trackerFor({ scoreThreshold, facts }: VideoDetectionOptions): ByteTracker {
  return new ByteTracker({
    highScore: scoreThreshold,
    newTrackScore: scoreThreshold,
    lowScore: Math.min(LOWEST_SCORE, scoreThreshold),
    lostFrames: Math.max(1, Math.round(framesPerSecond(facts))),
  });
}

function keep(
  found: readonly Detection[],
  index: number,
  tracker: ByteTracker,
  { scoreThreshold, maxDetections }: VideoDetectionOptions,
): TrackedDetection[] {
  const tracks = tracker.update(found.map(withBox));
  return found
    .map((detection, place) => {
      const trackId = tracks[place];
      return { ...detection, imageId: index, ...(trackId === undefined ? {} : { trackId }) };
    })
    .filter(({ score }) => score >= scoreThreshold)
    .slice(0, maxDetections);
}

/** What is found as a mask alone has the mask's box. */
function withBox(detection: Detection): Detection {
  const { bbox, segmentation } = detection;
  if (bbox || segmentation?.kind !== 'rle') return detection;
  return { ...detection, bbox: rleToBbox(segmentation.rle) };
}

/** The two threads beside this one, with the memory that goes around between the three. */
class VideoThreads {
  readonly slots: readonly FrameSlot[];
  readonly #reader: Worker;
  readonly #drawer: Worker;
  readonly #inbox = new Inbox<FromReader & { readonly kind: 'frames' | 'end' }>();
  readonly #readerEnd: Promise<unknown>;
  readonly #drawerEnd: Promise<unknown>;
  /** Its process, while it runs. */
  #decoder: number | undefined;
  #isAsked = false;
  readonly #forget: () => void;
  readonly #signal: AbortSignal | undefined;
  readonly #stop = (): void => this.#reader.postMessage('stop' satisfies ToReader);
  readonly #drawn = { drawMs: 0, encodeMs: 0 };
  readonly #begun: Promise<void>;
  readonly #finished: Promise<void>;

  constructor(options: VideoDetectionOptions) {
    const { source, facts, ffmpeg, preprocess, predictor, batchSize, file, drawing, signal } = options;
    const { maxFrames = Number.POSITIVE_INFINITY, maxSeconds = Number.POSITIVE_INFINITY } = options;
    const preparing = predictor.isAugmented ? {} : { preprocess };
    this.slots = Array.from({ length: SLOTS }, () => slotFor(facts, batchSize, preparing.preprocess));
    const { port1, port2 } = new MessageChannel();
    const reading: ReaderSetup = {
      ...{ source, facts, ffmpeg, batchSize, maxFrames, maxSeconds, slots: this.slots, freed: port1 },
      ...preparing,
    };
    const writing: DrawerSetup = { file, facts, ffmpeg, drawing, slots: this.slots, freed: port2 };
    // One that waits for its source would not notice that nobody reads any more; the encoder does, and ends its film.
    this.#forget = atExit(() => this.#killDecoder());
    this.#reader = startThread(new URL('./read-worker.js', import.meta.url), reading, port1);
    this.#drawer = startThread(new URL('./draw-worker.js', import.meta.url), writing, port2);
    for (const worker of [this.#reader, this.#drawer]) worker.on('error', (error) => this.#inbox.fail(error));
    this.#readerEnd = new Promise((done) => this.#reader.once('exit', done));
    this.#drawerEnd = new Promise((done) => this.#drawer.once('exit', done));
    this.#reader.on('message', (message: FromReader) => {
      this.#decoder = message.kind === 'started' ? message.pid : message.kind === 'end' ? undefined : this.#decoder;
      if (message.kind !== 'started') this.#inbox.push(message);
    });
    let begun = (): void => undefined;
    this.#begun = new Promise((done) => {
      begun = done;
    });
    this.#finished = new Promise((done, fail) => {
      this.#drawer.once('exit', () => fail(new Error('internal: the thread that draws has ended')));
      this.#drawer.on('message', (message: FromDrawer) => {
        if (message.kind === 'started') begun();
        else if (message.kind === 'finished') done();
        else if (message.kind === 'failed') {
          const error = new VideoWriteError(message.reason);
          this.#inbox.fail(error);
          fail(error);
        } else if (message.kind === 'drawn') {
          this.#drawn.drawMs += message.drawMs;
          this.#drawn.encodeMs += message.encodeMs;
        }
      });
    });
    this.#finished.catch(() => undefined);
    this.#signal = signal;
    signal?.addEventListener('abort', this.#stop);
    if (signal?.aborted) this.#stop();
  }

  next(): Promise<FromReader & { readonly kind: 'frames' | 'end' }> {
    return this.#inbox.next();
  }

  draw(message: ToDrawer): void {
    this.#drawer.postMessage(message);
  }

  /** Starts the film to be written. */
  async begin(tick: Ratio): Promise<void> {
    this.draw({ kind: 'begin', tick });
    await Promise.race([this.#begun, this.#finished]);
  }

  /** Waits until all is written. @returns milliseconds of the stages there */
  async finish(): Promise<{ readonly drawMs: number; readonly encodeMs: number }> {
    this.#askToFinish();
    await this.#finished;
    return this.#drawn;
  }

  /** Ends both threads, wherever they are: the film is whole up to its last frame, and no ffmpeg is left. */
  async close(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#stop);
    this.#stop();
    this.#askToFinish();
    await Promise.all([this.#readerEnd, this.#drawerEnd]);
    this.#forget();
  }

  #askToFinish(): void {
    if (!this.#isAsked) this.draw({ kind: 'finish' });
    this.#isAsked = true;
  }

  #killDecoder(): void {
    try {
      if (this.#decoder !== undefined) process.kill(this.#decoder, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
}

function startThread(file: URL, setup: ReaderSetup | DrawerSetup, port: MessageChannel['port1']): Worker {
  return new Worker(file, { workerData: setup, transferList: [port] });
}

function slotFor(facts: VideoFacts, batchSize: number, preprocess: Preprocess | undefined): FrameSlot {
  const frames = new SharedArrayBuffer(batchSize * facts.width * facts.height * 3);
  if (!preprocess) return { frames };
  const { width, height } = batchLayout([facts], preprocess);
  return { frames, prepared: new SharedArrayBuffer(batchSize * width * height * 3 * Float32Array.BYTES_PER_ELEMENT) };
}

/** Messages in their order, for one who asks for them. */
class Inbox<T> {
  readonly #messages: T[] = [];
  #error: { readonly error: unknown } | undefined;
  #wake: (() => void) | undefined;

  push(message: T): void {
    this.#messages.push(message);
    this.#wake?.();
  }

  /** From now on the next one is this error. */
  fail(error: unknown): void {
    this.#error ??= { error };
    this.#wake?.();
  }

  async next(): Promise<T> {
    while (this.#messages.length === 0 && !this.#error)
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    if (this.#error) throw this.#error.error;
    return this.#messages.shift()!;
  }
}
