// Exported detectors in ONNX Runtime, beside the detectors that they were made of.
import { manualSeed, noGrad, ops, randn, scope, type Tensor } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';
import { onnxOf } from '../export/export-detector.js';
import type { WeightStorage } from '../export/onnx/graph.js';
import { encodeModel, type OnnxModel } from '../export/onnx/model-proto.js';
import { buildModel } from '../models/build.js';
import type { Detector } from '../models/detector.js';
import type { Detections, HeightWidth, ImageBatch } from '../models/structures.js';

type Ort = typeof import('onnxruntime-node');

/** undefined where it is not installed: it is a tool of tests alone. */
export async function openOnnxRuntime(): Promise<Ort | undefined> {
  try {
    return await import('onnxruntime-node');
  } catch {
    return undefined;
  }
}

export const SKIPPED = 'onnxruntime-node is not installed';

/** One found object, on the host. */
export interface FoundObject {
  readonly label: number;
  readonly score: number;
  readonly box: readonly number[];
  readonly mask?: Float32Array;
  readonly heatmap?: Float32Array;
}

/** A model whose weights are drawn so widely that it finds something in noise. */
export function wideModel(config: RunConfig, classes: number, keypoints = 3, seed = 1): Detector {
  manualSeed(seed);
  const model = buildModel(config.model, { classes, keypoints });
  model.eval();
  return model;
}

export const CLASS_NAMES = ['cat', 'dog', 'bird'].map((name, i) => ({ id: i + 1, name }));

/** Noise, coarse and fine, in pictures of these sizes, padded together. */
export function noisePictures(sizes: readonly HeightWidth[], multiple: number, scale = 1): ImageBatch {
  const padded = (axis: 0 | 1): number => Math.ceil(Math.max(...sizes.map((size) => size[axis])) / multiple) * multiple;
  const [height, width] = [padded(0), padded(1)];
  const pixels = ops.zeros([sizes.length, 3, height, width], { dtype: 'float32' });
  sizes.forEach(([rows, columns], image) => {
    const coarse = ops.upsample_bilinear2d(randn([1, 3, 8, 8]), [rows, columns], false);
    const picture = ops.add(coarse, ops.mul(randn([1, 3, rows, columns]), 0.3));
    const place = ops.narrow(ops.narrow(ops.narrow(pixels, 0, image, 1), 2, 0, rows), 3, 0, columns);
    ops.copy_(place, picture);
  });
  return {
    pixels: pixels.to({ memoryFormat: 'channels_last' }),
    sizes,
    originals: sizes.map(([rows, columns]) => [rows * scale, columns * scale] as const),
    scales: sizes.map(() => ({ x: 1 / scale, y: 1 / scale })),
  };
}

/** One picture of a batch, on a canvas of the same size: what lies around a picture reaches its borders, in every runtime. */
export function singleOf(batch: ImageBatch, image: number): ImageBatch {
  return {
    pixels: ops.narrow(batch.pixels, 0, image, 1),
    sizes: [batch.sizes[image]!],
    originals: [batch.originals[image]!],
    scales: [batch.scales[image]!],
  };
}

/** What the model itself finds, an image. */
export function foundByModel(model: Detector, batch: ImageBatch): FoundObject[][] {
  return noGrad(() => scope(() => model.predict(batch).map(onHost)));
}

function onHost({ boxes, scores, labels, wholeMasks, masks = wholeMasks?.probabilities }: Detections): FoundObject[] {
  const corners = boxes.toFloat32Array();
  const ofAll = scores.toFloat32Array();
  const cells = masks?.toFloat32Array();
  const area = masks ? masks.size(1) * masks.size(2) : 0;
  return labels.toNumbers().map((label, i) => ({
    label,
    score: ofAll[i]!,
    box: [...corners.subarray(i * 4, i * 4 + 4)],
    ...(cells && { mask: cells.slice(i * area, (i + 1) * area) }),
  }));
}

export interface ExportedSession {
  readonly bytes: Uint8Array;
  readonly inputs: readonly string[];
  run(batch: ImageBatch): Promise<FoundObject[][]>;
}

export async function openExported(
  ort: Ort,
  model: Detector,
  config: RunConfig,
  {
    classes = CLASS_NAMES.length,
    weights,
    limits = {},
  }: { readonly classes?: number; readonly weights?: WeightStorage; readonly limits?: Limits } = {},
): Promise<ExportedSession> {
  const { onnx } = onnxOf(model, { config, categories: CLASS_NAMES.slice(0, classes), weights });
  const bytes = encodeModel(withLimits(onnx, limits));
  // More threads wait for one another by spinning.
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 });
  return {
    bytes,
    inputs: session.inputNames,
    run: async (batch) => {
      const all = feedsOf(ort, batch);
      const feeds = Object.fromEntries(session.inputNames.map((name) => [name, all[name as keyof typeof all]]));
      const results = await session.run(feeds);
      const numbers = (name: string): number[] => Array.from(results[name]!.data as ArrayLike<number | bigint>, Number);
      const [boxes, scores, classesFound, pictures] = ['boxes', 'scores', 'classes', 'pictures'].map(numbers);
      const found: FoundObject[][] = batch.sizes.map(() => []);
      const perObject = (name: string, i: number): Float32Array | undefined => {
        const values = results[name]?.data as Float32Array | undefined;
        return values?.slice((values.length / scores!.length) * i, (values.length / scores!.length) * (i + 1));
      };
      scores!.forEach((score, i) => {
        found[pictures![i]!]!.push({
          label: classesFound![i]!,
          score,
          box: boxes!.slice(i * 4, i * 4 + 4),
          mask: perObject('masks', i),
          heatmap: perObject('heatmaps', i),
        });
      });
      return found;
    },
  };
}

/** Other values of what whoever runs a file may set. onnxruntime-node sets none, so that the file's own give way. */
export type Limits = Readonly<Partial<Record<'score_threshold' | 'nms_threshold' | 'max_detections', number>>>;

function withLimits(model: OnnxModel, limits: Limits): OnnxModel {
  const initializers = new Map(model.initializers);
  for (const [name, value] of Object.entries(limits)) {
    const { dtype, shape } = initializers.get(name)!;
    const data = dtype === 'int64' ? BigInt64Array.of(BigInt(value)) : Float32Array.of(value);
    initializers.set(name, { dtype, shape, data: new Uint8Array(data.buffer) });
  }
  return { ...model, initializers };
}

function feedsOf(ort: Ort, { pixels, sizes, originals, scales }: ImageBatch) {
  const [count = 0, , height = 0, width = 0] = pixels.shape;
  const rows = (values: readonly (readonly number[])[]) =>
    new ort.Tensor('float32', Float32Array.from(values.flat()), [values.length, 2]);
  return {
    images: new ort.Tensor('float32', interleaved(pixels), [count, height, width, 3]),
    sizes: rows(sizes.map(([h, w]) => [w, h])),
    original_sizes: rows(originals.map(([h, w]) => [w, h])),
    scales: rows(scales.map(({ x, y }) => [x, y])),
  };
}

function interleaved(pixels: Tensor): Float32Array {
  return scope(() => ops.permute(pixels, [0, 2, 3, 1]).contiguous().toFloat32Array());
}

export interface Agreement {
  readonly objects: number;
  readonly unmatched: number;
  readonly leastIou: number;
  readonly scoreDifference: number;
  readonly maskDifference: number;
}

/** How far two lists of the same image agree: each object of either with the best of its class in the other. */
export function agreementOf(own: readonly FoundObject[], other: readonly FoundObject[]): Agreement {
  const free = new Set(other);
  let [leastIou, scoreDifference, maskDifference, unmatched] = [1, 0, 0, 0];
  for (const object of own) {
    const candidates = [...free].filter(({ label }) => label === object.label);
    const best = candidates.sort((a, b) => costOf(object, a) - costOf(object, b))[0];
    if (!best || iouOf(object.box, best.box) < 0.9) {
      unmatched++;
      continue;
    }
    free.delete(best);
    leastIou = Math.min(leastIou, iouOf(object.box, best.box));
    scoreDifference = Math.max(scoreDifference, Math.abs(object.score - best.score));
    object.mask?.forEach((value, i) => {
      maskDifference = Math.max(maskDifference, Math.abs(value - best.mask![i]!));
    });
  }
  return { objects: own.length, unmatched: unmatched + free.size, leastIou, scoreDifference, maskDifference };
}

function costOf(a: FoundObject, b: FoundObject): number {
  return 1 - iouOf(a.box, b.box) + Math.abs(a.score - b.score);
}

/** Of boxes that may have no area: equal ones have 1. */
export function iouOf(a: readonly number[], b: readonly number[]): number {
  const side = (low: number, high: number): number => Math.max(0, high - low);
  const shared =
    side(Math.max(a[0]!, b[0]!), Math.min(a[2]!, b[2]!)) * side(Math.max(a[1]!, b[1]!), Math.min(a[3]!, b[3]!));
  const area = (box: readonly number[]): number => side(box[0]!, box[2]!) * side(box[1]!, box[3]!);
  const union = area(a) + area(b) - shared;
  return union > 0 ? shared / union : Math.max(...a.map((value, i) => Math.abs(value - b[i]!))) < 1e-3 ? 1 : 0;
}
