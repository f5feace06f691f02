// Batches ahead of the step that needs them: planned here (order, sizes, mirroring, memory), prepared by workers. What is in a
// batch depends on the dataset, the seed and the position alone, never on the number of workers or on timing.
import { InputError, type Preprocess, paddedBatchSize } from '@goshawk/core';
import type { Batch, BatchImage, LeftOut, Target } from './batch.js';
import type { DetectionDataset } from './dataset.js';
import { loadPictures } from './loaded-pictures.js';
import { PixelPool } from './pixel-pool.js';
import { type Augment, type ImagePlan, planImage } from './plan-image.js';
import type { SampleRequest, SampleResult } from './prepare-sample.js';
import { createSampleRunner } from './sample-runner.js';
import {
  aspectGroup,
  type BatchSampler,
  type BatchShare,
  type Draw,
  evenBatches,
  type SamplerState,
  sequentialBatches,
  shareOf,
  shuffledBatches,
} from './samplers.js';
import { proposalsInView } from './target.js';

export interface LoaderOptions {
  readonly dataset: DetectionDataset;
  readonly batchSize: number;
  readonly preprocess: Preprocess;
  /** true: full batches without end, a new order each pass. false: one pass in file order. Default false. */
  readonly shuffle?: boolean;
  /** Default 0. */
  readonly seed?: number;
  /** Threads; 0 prepares on the calling thread. Default 2. The batches are the same for any number. */
  readonly workers?: number;
  /** What training varies in each picture. Default: nothing. */
  readonly augment?: Augment;
  /** Detectron's boxes, which hold their last pixel, and its mirroring; see `PictureView`. Default false. */
  readonly legacyPlusOne?: boolean;
  /** Batches hold either wide or tall pictures. Default true with `shuffle`, and only there. */
  readonly aspectGrouping?: boolean;
  /**
   * Batches hold pictures that need no padding for one another, so that what a network makes of one does not depend on the
   * others; they come out of order, and smaller where none fits. Only without `shuffle`. Default false.
   */
  readonly evenSizes?: boolean;
  /**
   * The part of each batch that is prepared; batches keep the order and the size of their pictures, padding included, that they have with
   * one process. Default: all of it.
   */
  readonly share?: BatchShare;
  /** Continue after a {@link Loader.state}, of any share. */
  readonly startAt?: SamplerState;
  /** Whether a picture that cannot be used is left out of its batch ({@link Batch.leftOut}), instead of ending the loader. Default never. */
  readonly leaveOut?: (error: InputError) => boolean;
  /** Batches prepared ahead; bounds the memory. Default 2. */
  readonly prefetch?: number;
}

/**
 * Gives batches in order. A picture that cannot be used throws an InputError naming the file, at its place in the
 * order; the loader is closed then, as it is where a `for await` over it is left.
 */
export interface Loader extends AsyncIterableIterator<Batch> {
  next(): Promise<IteratorResult<Batch, undefined>>;
  return(): Promise<IteratorResult<Batch, undefined>>;
  [Symbol.asyncIterator](): Loader;
  /** What a loader needs as `startAt` to go on after the last batch that was given out. Plain JSON. */
  state(): SamplerState;
  /** Seconds that `next` has waited for pictures, summed: what data cost the consumer. */
  readonly waitSeconds: number;
  /** Stops the workers and resolves when they have ended. */
  close(): Promise<void>;
}

interface PlannedBatch {
  readonly ready: Promise<Batch>;
  readonly stateAfter: SamplerState;
}

export function createLoader(options: LoaderOptions): Loader {
  const { dataset, workers = 2, prefetch = 2 } = options;
  requireUsable(options);
  const runner = createSampleRunner(workers);
  const pool = new PixelPool(prefetch + 2);
  const sampler = createSampler(options);
  const planned: PlannedBatch[] = [];
  let state = sampler.state();
  let waitSeconds = 0;
  let closing: Promise<void> | undefined;

  function planAhead(): void {
    while (closing === undefined && planned.length < prefetch) {
      const draws = sampler.next();
      if (draws === undefined) return;
      const ready = prepareBatch(draws);
      // It is awaited later or, after an earlier failure, never.
      ready.catch(() => undefined);
      planned.push({ ready, stateAfter: sampler.state() });
    }
  }

  /** Pictures that are not files are asked for here: workers cannot call a program's functions. */
  async function prepared(request: SampleRequest): Promise<SampleResult> {
    if (dataset.load === undefined) return runner.run(request);
    try {
      return await runner.run({ ...request, loaded: await loadPictures(dataset.load, request) });
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      return { error: { code: error.code, message: error.message } };
    }
  }

  async function prepareBatch(draws: readonly Draw[]): Promise<Batch> {
    const all = draws.map((draw) => planImage(draw, state.seed, options));
    const { width, height } = paddedBatchSize(shownSizes(all, options), options.preprocess.padMultiple);
    const [first, end] = options.share ? shareOf(draws.length, options.share) : [0, draws.length];
    const own = draws.slice(first, end);
    const plans = all.slice(first, end);
    const floats = width * height * 3;
    const memory = pool.take(floats * plans.length);
    // All must have ended before the memory may be used again, also where one has failed.
    const outcomes = await Promise.allSettled(
      plans.map(({ sample, steps, view }, i) =>
        prepared({
          image: sample.image,
          path: sample.path,
          annotations: sample.annotations,
          classes: sample.annotations.map((annotation) => dataset.classOf.get(annotation.categoryId)!),
          steps,
          ...view,
          preprocess: options.preprocess,
          exifOrientation: dataset.exifOrientation,
          masks: dataset.hasMasks,
          polygons: dataset.hasPolygons,
          keypointCount: dataset.keypointCount,
          keypointFlipOrder: dataset.keypointFlipOrder,
          slot: { memory, offset: i * floats, rowStride: width * 3, height },
        }),
      ),
    );
    let inUse = true;
    const release = () => {
      if (inUse) pool.give(memory);
      inUse = false;
    };
    try {
      const targets: Target[] = [];
      const images: BatchImage[] = [];
      const leftOut: LeftOut[] = [];
      const pixels = new Float32Array(memory, 0, floats * plans.length);
      for (const [place, outcome] of outcomes.entries()) {
        const plan = plans[place]!;
        const target = targetOf(outcome);
        if (target instanceof InputError) {
          if (!options.leaveOut?.(target)) throw target;
          const { id: imageId, fileName } = plan.sample.image;
          leftOut.push({ place, imageId, fileName, error: target });
          continue;
        }
        // The pictures that are there lie one behind the other.
        if (leftOut.length > 0) pixels.copyWithin(targets.length * floats, place * floats, (place + 1) * floats);
        targets.push(target);
        images.push({ ...batchImageOf(plan, dataset), turn: own[place]!.position });
      }
      const places = own.map(({ index }) => index);
      const shown = pixels.subarray(0, floats * targets.length);
      return { pixels: shown, width, height, images, places, targets, leftOut, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  function close(): Promise<void> {
    closing ??= (async () => {
      await runner.close();
      await Promise.allSettled(planned.map((batch) => batch.ready));
      planned.length = 0;
    })();
    return closing;
  }

  const loader: Loader = {
    async next() {
      planAhead();
      const first = planned.shift();
      if (closing !== undefined || first === undefined) {
        await close();
        return { done: true, value: undefined };
      }
      // The workers go on while the consumer is busy with this batch.
      planAhead();
      const start = performance.now();
      try {
        const value = await first.ready;
        state = first.stateAfter;
        return { done: false, value };
      } catch (error) {
        await close();
        throw error;
      } finally {
        waitSeconds += (performance.now() - start) / 1000;
      }
    },
    async return() {
      await close();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => loader,
    state: () => state,
    get waitSeconds() {
      return waitSeconds;
    },
    close,
  };
  // Work starts now, not when the first batch is asked for.
  planAhead();
  return loader;
}

/** What a batch must have room for: with jitter always the same. */
function shownSizes(
  plans: readonly ImagePlan[],
  { augment }: LoaderOptions,
): readonly Pick<ImagePlan, 'width' | 'height'>[] {
  if (!augment?.jitter) return plans;
  const [height, width] = augment.jitter.size;
  return [{ height, width }];
}

function createSampler(options: LoaderOptions): BatchSampler {
  const { dataset, batchSize, shuffle = false, seed = 0, startAt } = options;
  const count = dataset.samples.length;
  if (!shuffle && options.evenSizes && batchSize > 1)
    return evenBatches({ count, batchSize, kindOf: (index) => paddedSizeOf(index, options) });
  if (!shuffle) return sequentialBatches({ count, batchSize, seed, startAt });
  const isGrouped = options.aspectGrouping ?? true;
  const groups = isGrouped ? dataset.samples.map(({ image }) => aspectGroup(image)) : undefined;
  return shuffledBatches({ count, batchSize, seed, groups, startAt });
}

function paddedSizeOf(index: number, options: LoaderOptions): string {
  const plan = planImage({ index, position: index }, 0, options);
  const { width, height } = paddedBatchSize([plan], options.preprocess.padMultiple);
  return `${width} x ${height}`;
}

function batchImageOf(
  { sample: { image }, view, width, height }: ImagePlan,
  dataset: DetectionDataset,
): Omit<BatchImage, 'turn'> {
  const proposals = dataset.proposals?.get(image.id);
  return {
    imageId: image.id,
    fileName: image.fileName,
    width,
    height,
    originalWidth: image.width,
    originalHeight: image.height,
    scaleX: view.size.scaleX,
    scaleY: view.size.scaleY,
    flipped: view.flip,
    ...(view.size.frame && { frame: view.size.frame }),
    ...(proposals && { proposals: proposalsInView(proposals.boxes, image, view) }),
  };
}

/** What is wrong with a picture is returned; @throws what is wrong with the program */
function targetOf(outcome: PromiseSettledResult<SampleResult>): Target | InputError {
  if (outcome.status === 'rejected') throw outcome.reason;
  const { value } = outcome;
  if (value.error === undefined) return value.target;
  const { code, message } = value.error;
  if (code === undefined) throw new Error(message);
  return new InputError(code, message);
}

function requireUsable({ batchSize, workers = 2, prefetch = 2, augment = {} }: LoaderOptions): void {
  const requireWhole = (name: string, value: number, least: number) => {
    if (!Number.isSafeInteger(value) || value < least) {
      throw new InputError('usage', `createLoader: ${name} is ${value} (expected a whole number of at least ${least})`);
    }
  };
  requireWhole('batchSize', batchSize, 1);
  requireWhole('workers', workers, 0);
  requireWhole('prefetch', prefetch, 1);
  for (const minSize of augment.minSizes ?? []) requireWhole('augment.minSizes', minSize, 1);
  const flip = augment.flip ?? 0;
  if (!(flip >= 0 && flip <= 1)) {
    throw new InputError('usage', `createLoader: augment.flip is ${flip} (expected a share from 0 to 1)`);
  }
}
