// A detector from the bytes of an exported file and an ONNX Runtime. What happens to pictures before the network and to what it gives
// behind it is core's: the functions of training.
import {
  batchLayout,
  boxMaskToRle,
  type Category,
  type Detection,
  decodeHeatmaps,
  detectionsInImage,
  gridMasksOf,
  InputError,
  maskDetectionsInImage,
  type NamedImage,
  type PreparedBatch,
  prepareBatch,
  type RgbImage,
  type Rle,
} from '@goshawk/core';
import { requireBytes, requireLimits, requirePictures } from './check-arguments.js';
import { type MaskDescription, type ModelDescription, readModelDescription } from './model-description.js';
import { groupedSamples, type NetworkObject, networkFeeds, networkObjects } from './network-io.js';
import { type OnnxRuntime, type OnnxSession, SESSION_OPTIONS } from './onnx-runtime.js';
import { compareWithProbe, type ProbeReport, probeInput } from './probe.js';
import { releasedError } from './released-error.js';

export interface CreateDetectorOptions {
  /** Of ONNX Runtime, such as `executionProviders`; of them wasm and cpu are those that the numbers are promised for. */
  readonly session?: Readonly<Record<string, unknown>>;
  /** Whether a runtime that computes other numbers than the engine is refused, by the file's probe. Default true. */
  readonly check?: boolean;
  /** Of the file, for errors. */
  readonly name?: string;
}

export interface DetectOptions {
  /** Detections of at least this score, 0 to 1. Default: those that the model's own threshold leaves; a lower one adds none. */
  readonly scoreThreshold?: number;
  /** The best so many of each picture. Default: the model's own number; a higher one adds none. */
  readonly maxDetections?: number;
}

/** Its calls run one after another, in the order in which they were made. */
export interface OnnxDetector {
  readonly description: ModelDescription;
  readonly categories: readonly Category[];
  /**
   * Detections of each picture in its own pixels, best first; `imageId` is its number in the call. Pictures of one call share a
   * padded batch.
   * @throws InputError where a picture is not what it says it is, a limit is none, the batch is too large for this machine, or the
   * detector was released
   */
  detect(images: readonly RgbImage[], options?: DetectOptions): Promise<Detection[][]>;
  /** Compares what the runtime finds in the file's probe with what the engine found. */
  selfCheck(): Promise<ProbeReport>;
  /** Ends it, after the calls before. In a browser memory comes back where the worker ends that the detector ran in. */
  release(): Promise<void>;
}

/**
 * @param ort onnxruntime-node or onnxruntime-web
 * @param bytes of a file that `goshawk export` wrote
 * @throws InputError where it is another file, or the runtime's numbers differ from those that the file expects
 */
export async function createDetector(
  ort: OnnxRuntime,
  bytes: Uint8Array,
  { session: sessionOptions, check = true, name = 'the model' }: CreateDetectorOptions = {},
): Promise<OnnxDetector> {
  requireBytes(bytes, name);
  const description = readModelDescription(bytes, name);
  const session = await openSession(ort, bytes, name, { ...SESSION_OPTIONS, ...sessionOptions });
  const detector = new SessionDetector(ort, session, { description, name });
  if (!check) return detector;
  try {
    // Providers also open what they then cannot run.
    const { agrees, expected, missing, largestDifference } = await detector.selfCheck().catch((error: unknown) => {
      throw refusal(name, `this runtime fails on the file's own probe (${reasonOf(error)})`, error);
    });
    if (agrees) return detector;
    throw refusal(
      name,
      missing.length > 0
        ? `this runtime does not find ${missing.length} of the ${expected} objects of the file's own probe`
        : `this runtime's numbers are ${(100 * largestDifference).toPrecision(2)} % away from those of the file's own probe`,
    );
  } catch (error) {
    await detector.release();
    throw error;
  }
}

function refusal(name: string, what: string, cause?: unknown): InputError {
  return new InputError('usage', `${name}: ${what}: use the execution provider cpu or wasm`, { cause });
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, ' ').trim().slice(0, 200);
}

async function openSession(
  ort: OnnxRuntime,
  bytes: Uint8Array,
  name: string,
  options: Readonly<Record<string, unknown>>,
): Promise<OnnxSession> {
  try {
    return await ort.InferenceSession.create(bytes, options);
  } catch (error) {
    const reason = reasonOf(error);
    // What ONNX Runtime says where none of the providers that were asked for can be had, of which the file knows nothing.
    const [, missing] = /^no available backend found\. ERR: (.*)$/.exec(reason) ?? [];
    if (missing !== undefined)
      throw refusal(name, `no execution provider that was asked for is here (${missing})`, error);
    throw new InputError(
      'checkpoint-invalid',
      `${name}: ONNX Runtime does not open it (${reason}): use the execution provider cpu or wasm, or export the weights again`,
      { cause: error },
    );
  }
}

class SessionDetector implements OnnxDetector {
  readonly description: ModelDescription;
  readonly #ort: OnnxRuntime;
  readonly #session: OnnxSession;
  readonly #name: string;
  readonly #categoryIds: readonly number[];
  #last: Promise<unknown> = Promise.resolve();
  #released: Promise<void> | undefined;

  constructor(
    ort: OnnxRuntime,
    session: OnnxSession,
    { description, name }: { readonly description: ModelDescription; readonly name: string },
  ) {
    this.#ort = ort;
    this.#session = session;
    this.#name = name;
    this.description = description;
    this.#categoryIds = description.categories.map(({ id }) => id);
  }

  get categories(): readonly Category[] {
    return this.description.categories;
  }

  async detect(images: readonly RgbImage[], options: DetectOptions = {}): Promise<Detection[][]> {
    const { scoreThreshold = 0, maxDetections } = options;
    requireLimits(options);
    requirePictures(images);
    if (images.length === 0) return [];
    const batch = batchOf(images, this.description.preprocess);
    const found = await this.#run(batch);
    return found.map((own, image) => {
      const named = { ...batch.images[image]!, imageId: image };
      const wanted = own.filter(({ score }) => score >= scoreThreshold).slice(0, maxDetections);
      return this.#inImage(wanted, named);
    });
  }

  async selfCheck(): Promise<ProbeReport> {
    const { probe, preprocess } = this.description;
    const outputs = await this.#outputs(probeInput(probe, preprocess));
    const [objects] = networkObjects(outputs, 1);
    return compareWithProbe(probe, { objects: objects!, samples: groupedSamples(probe, outputs) });
  }

  release(): Promise<void> {
    this.#released ??= this.#last.then(() => this.#session.release());
    return this.#released;
  }

  async #run(batch: PreparedBatch): Promise<NetworkObject[][]> {
    const { length } = batch.images;
    const outputs = await this.#outputs(batch).catch((error: unknown) => {
      if (error instanceof InputError) throw error;
      throw new InputError(
        'usage',
        `${this.#name}: ONNX Runtime fails on ${length} ${length === 1 ? 'picture' : 'pictures'} of ${batch.width} x ${batch.height} pixels (${reasonOf(error)}): give fewer or smaller pictures`,
        { cause: error },
      );
    });
    return networkObjects(outputs, length);
  }

  #outputs(batch: PreparedBatch): ReturnType<OnnxSession['run']> {
    if (this.#released) return Promise.reject(releasedError());
    const run = this.#last.then(() => this.#session.run(networkFeeds(this.#ort, this.#session, batch)));
    this.#last = run.catch(() => undefined);
    return run;
  }

  #inImage(found: readonly NetworkObject[], image: NamedImage): Detection[] {
    const { masks, keypoints, measuredIn } = this.description;
    const scores = found.map(({ score }) => score);
    const labels = found.map(({ label }) => label);
    if (masks?.extent.kind === 'input') {
      const [rows = 0, columns = 0] = found[0]?.mask?.sides ?? [];
      const masksIn = gridMasksOf(joined(found.map(({ mask }) => mask!.cells)), masks.threshold);
      const grid = { rows, columns, stride: masks.extent.stride };
      return maskDetectionsInImage({ scores, labels, ...grid, masksIn }, image, this.#categoryIds);
    }
    const boxes = Float32Array.from(found.flatMap(({ box }) => box));
    return detectionsInImage(
      {
        pixels: measuredIn,
        boxes,
        scores,
        labels,
        ...(masks && { masksIn: (corners) => pastedMasks(found, corners, image, masks) }),
        ...(keypoints && {
          keypoints: joined(
            found.map(({ box, heatmaps }) =>
              decodeHeatmaps(heatmaps!.cells, heatmaps!.sides[0], box, keypoints.minSize),
            ),
          ),
        }),
      },
      image,
      this.#categoryIds,
    );
  }
}

/** @throws InputError where the batch needs more than one array holds */
function batchOf(images: readonly RgbImage[], preprocess: ModelDescription['preprocess']): PreparedBatch {
  try {
    return prepareBatch(images, preprocess);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const { width, height } = batchLayout(images, preprocess);
    throw new InputError(
      'usage',
      `${images.length} ${images.length === 1 ? 'picture' : 'pictures'} of ${width} x ${height} pixels in the network's input are more than memory holds: give fewer or smaller ones`,
      { cause: error },
    );
  }
}

function pastedMasks(
  found: readonly NetworkObject[],
  corners: Float32Array,
  { originalWidth: width, originalHeight: height }: NamedImage,
  { threshold, strict, padding }: MaskDescription,
): Rle[] {
  return found.map(({ mask }, index) =>
    boxMaskToRle(mask!.cells, corners.subarray(index * 4, index * 4 + 4), {
      width,
      height,
      threshold,
      strict,
      padding,
    }),
  );
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
