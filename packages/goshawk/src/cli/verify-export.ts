// What ONNX Runtime finds with an exported file against what the engine finds, in the same pictures: where they differ, AP, and time.
import { basename } from 'node:path';
import {
  type Annotation,
  type Category,
  type Detection,
  InputError,
  type PreparedBatch,
  prepareBatch,
  type RgbImage,
} from '@goshawk/core';
import { createDetector, type OnnxDetector, type OnnxRuntime } from '@goshawk/runtime';
import { allowWinograd } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';
import { decodeImageFile, readAnnotations } from '../data/index.js';
import { withHalvedWeights } from '../export/halved-weights.js';
import { type Agreement, measureAgreement } from '../export/measure-agreement.js';
import { type BatchAgreement, compareBatch } from '../export/measure-batch.js';
import { type ComparedPicture, type ComparedPrecision, comparePrecision } from '../export/measure-precision.js';
import type { NamedImage, OpenDetector } from '../infer/index.js';
import { detectorKind } from '../models/index.js';

/** Objects by the name of their picture's file. */
export interface Truth {
  readonly categories: readonly Category[];
  readonly objects: ReadonlyMap<string, readonly Annotation[]>;
}

/** @throws InputError where a picture is not among the annotated ones */
export function readTruth(annotations: string, pictures: readonly NamedImage[]): Truth {
  const { dataset } = readAnnotations({ annotations }, { purpose: 'evaluation', requireFiles: true });
  const names = new Map(dataset.images.map(({ id, fileName }) => [id, basename(fileName)]));
  const objects = new Map([...names.values()].map((name) => [name, [] as Annotation[]]));
  for (const annotation of dataset.annotations) objects.get(names.get(annotation.imageId)!)?.push(annotation);
  const unknown = pictures.find(({ path }) => !objects.has(basename(path)));
  if (unknown)
    throw new InputError(
      'usage',
      `${unknown.path}: is not among the pictures of ${annotations}: name annotated pictures, or leave --annotations out`,
    );
  return { categories: dataset.categories, objects };
}

/** Each a batch of its own. */
export async function* preparedPictures(
  paths: readonly string[],
  config: RunConfig,
  preprocess: OpenDetector['preprocess'],
): AsyncGenerator<PreparedBatch> {
  for (const path of paths) yield prepareBatch([await decoded(path, config)], preprocess);
}

function decoded(path: string, { data: { exifOrientation } }: RunConfig) {
  return decodeImageFile(path, { exifOrientation });
}

export interface Verification {
  readonly agreement: Agreement;
  /** Of a file of halves with the engine whose weights were rounded as in the file. */
  readonly halves?: Agreement;
  /**
   * With the engine whose convolutions add up one product after another, as the file's do, where the first agreement leaves something
   * to say: what the last bits decide, an overlap at its threshold or a box at a whole pixel, falls so or so by the order of a sum.
   */
  readonly direct?: Agreement;
  /** Of pictures in one batch with each of them alone on the same canvas; absent where there is one picture. */
  readonly batch?: BatchAgreement;
  /** Boxes, and masks and keypoints where the model gives some. */
  readonly precision: readonly ComparedPrecision[];
  /** Of ONNX Runtime for a picture, median, preparing and pasting included; of the rival too where there is one. */
  readonly seconds: { readonly exported: number; readonly rival?: number };
}

export interface VerifyOptions {
  readonly opened: OpenDetector;
  readonly config: RunConfig;
  /** Of the file. */
  readonly name: string;
  readonly paths: readonly string[];
  readonly truth?: Truth | undefined;
  /** How weights are stored. */
  readonly precision: StoredPrecision;
  /** The same detector in full precision, for the time. */
  readonly rival?: Uint8Array;
}

export type StoredPrecision = 'fp32' | 'fp16' | 'int8';

/** So many pictures are looked at in one batch. */
const BATCH = 3;

export async function verifyExport(ort: OnnxRuntime, bytes: Uint8Array, options: VerifyOptions): Promise<Verification> {
  const { opened, config, name, paths, truth, precision, rival: rivalBytes } = options;
  const { model, predictor, preprocess, categories } = opened;
  const open: OnnxDetector[] = [];
  try {
    const exported = await createDetector(ort, bytes, { name });
    open.push(exported);
    const rival = rivalBytes && (await createDetector(ort, rivalBytes, { name: 'the same in fp32' }));
    if (rival) open.push(rival);
    const ids = truth && idsByName(truth.categories, categories);
    const pictures: ComparedPicture[] = [];
    const halved: (readonly Detection[])[] = [];
    const times: { exported: number[]; rival: number[] } = { exported: [], rival: [] };
    for (const path of paths) {
      const image = await decoded(path, config);
      const named = batchOf(image, preprocess);
      const [own] = predictor.predictBatch(named);
      if (precision === 'fp16') halved.push(withHalvedWeights(model, () => predictor.predictBatch(named))[0]!);
      const timed = async (detector: OnnxDetector, into: number[]): Promise<readonly Detection[]> => {
        const started = performance.now();
        const [found] = await detector.detect([image]);
        into.push((performance.now() - started) / 1000);
        return found!;
      };
      const other = await timed(exported, times.exported);
      if (rival) await timed(rival, times.rival);
      const objects = truth?.objects.get(basename(path))?.flatMap((object) => {
        const categoryId = ids!.get(object.categoryId);
        return categoryId === undefined ? [] : [{ ...object, categoryId }];
      });
      pictures.push({ width: image.width, height: image.height, own: own!, other, ...(objects && { truth: objects }) });
    }
    const types = detectorKind(config.model).measuredBy;
    const agreement = measureAgreement(
      pictures.map(({ own, other }) => [own, other]),
      { boxes: predictor.boxes },
    );
    const first = await Promise.all(paths.slice(0, BATCH).map((path) => decoded(path, config)));
    return {
      agreement,
      ...(precision === 'fp32' && !isWhole(agreement) && { direct: await agreementOfDirect(options, pictures) }),
      ...(precision === 'fp16' && {
        halves: measureAgreement(
          pictures.map(({ other }, picture) => [halved[picture]!, other]),
          { boxes: predictor.boxes },
        ),
      }),
      ...(first.length > 1 && { batch: await compareBatch(ort, bytes, prepareBatch(first, preprocess)) }),
      precision: comparePrecision(pictures, categories, types),
      seconds: { exported: median(times.exported), ...(rival && { rival: median(times.rival) }) },
    };
  } finally {
    for (const detector of open) await detector.release();
  }
}

function batchOf(image: RgbImage, preprocess: OpenDetector['preprocess']) {
  const batch = prepareBatch([image], preprocess);
  return { ...batch, images: batch.images.map((each) => ({ ...each, imageId: 0 })) };
}

/** Whether every detection has its counterpart, and every mask is alike. */
function isWhole({ unmatched, leastMaskIou = 1 }: Agreement): boolean {
  return unmatched === 0 && leastMaskIou >= 0.99;
}

/** @param pictures with what the file finds in those of `paths` */
async function agreementOfDirect(
  { opened: { predictor, preprocess }, config, paths }: VerifyOptions,
  pictures: readonly Pick<ComparedPicture, 'other'>[],
): Promise<Agreement> {
  const pairs: (readonly [readonly Detection[], readonly Detection[]])[] = [];
  for (const [picture, path] of paths.entries()) {
    const batch = batchOf(await decoded(path, config), preprocess);
    const [own] = withDirectConvolutions(() => predictor.predictBatch(batch));
    pairs.push([own!, pictures[picture]!.other]);
  }
  return measureAgreement(pairs, { boxes: predictor.boxes });
}

function withDirectConvolutions<T>(body: () => T): T {
  const isAllowed = allowWinograd(false);
  try {
    return body();
  } finally {
    allowWinograd(isAllowed);
  }
}

/** From ids of a data set to those of the model. @throws InputError where no name is the same */
function idsByName(from: readonly Category[], to: readonly Category[]): ReadonlyMap<number, number> {
  const byName = new Map(to.map(({ id, name }) => [name, id]));
  const pairs = from.flatMap(({ id, name }) => {
    const own = byName.get(name);
    return own === undefined ? [] : [[id, own] as const];
  });
  if (pairs.length === 0)
    throw new InputError(
      'usage',
      `--annotations: none of its categories (${from
        .map(({ name }) => name)
        .slice(0, 3)
        .join(', ')}...) is one of the model (${to
        .map(({ name }) => name)
        .slice(0, 3)
        .join(', ')}...): name annotations of what it finds`,
    );
  return new Map(pairs);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

export function verificationLines(
  { agreement, halves, direct, batch, precision, seconds }: Verification,
  stored: StoredPrecision,
): string[] {
  const measured = precision.map(
    ({ type, sureFrom, engine, exported }) =>
      `AP of ${WHAT[type]}${sureFrom === undefined ? '' : `, what the engine finds above ${sureFrom} as the truth`}: ${engine.toFixed(4)} before, ${exported.toFixed(4)} in ${stored}`,
  );
  const { rival } = seconds;
  const speed =
    rival === undefined
      ? `${seconds.exported.toFixed(3)} s a picture in ONNX Runtime`
      : `${seconds.exported.toFixed(3)} s a picture in ONNX Runtime, ${rival.toFixed(3)} s in fp32`;
  if (agreement.detections + agreement.unmatched === 0)
    return [
      `neither the engine nor ONNX Runtime finds anything above 0.05 in ${agreement.pictures} pictures: nothing is compared; name pictures of what the model knows`,
      speed,
    ];
  return [
    `ONNX Runtime against the engine: ${agreementWords(agreement)}`,
    ...(halves ? [`against the engine with weights rounded as in the file: ${agreementWords(halves)}`] : []),
    ...(direct ? [`against the engine without Winograd's convolutions: ${agreementWords(direct)}`] : []),
    ...(batch ? [batchWords(batch)] : []),
    ...measured,
    speed,
  ];
}

const WHAT = { bbox: 'boxes', segm: 'masks', keypoints: 'keypoints' } as const;

function agreementWords(agreement: Agreement): string {
  const { pictures, detections, unmatched, leastIou, largestScoreDifference } = agreement;
  const { leastMaskIou, leastMask, keypoints } = agreement;
  return [
    `${detections} detections above 0.05 in ${pictures} pictures`,
    unmatched === 0 ? 'each with its counterpart' : `${unmatched} without a counterpart`,
    `IoU at least ${leastIou.toFixed(4)}`,
    `scores within ${largestScoreDifference.toExponential(1)}`,
    ...(leastMaskIou === undefined
      ? []
      : [
          `masks' IoU at least ${leastMaskIou.toFixed(4)} (${leastMask!.differing} of ${leastMask!.pixels} pixels differ there)`,
        ]),
    ...(keypoints
      ? [
          `keypoints within ${keypoints.largestDistance.toFixed(3)} pixels, ${keypoints.moved} of ${keypoints.count} moved by more than one`,
        ]
      : []),
  ].join(', ');
}

function batchWords({ pictures, objects, unmatched, largestDifference: { box, score } }: BatchAgreement): string {
  const apart = `boxes within ${box.toExponential(1)} pixels, scores within ${score.toExponential(1)}`;
  return `${pictures} pictures in a batch against each alone: ${objects} objects, ${unmatched} of them only there, ${apart}`;
}
