// A detector as an ONNX file of bytes: its graph runs over pictures in full precision first, and the ranges of its values are kept.
import type { PreparedBatch } from '@goshawk/core';
import {
  DESCRIPTION_KEY,
  groupedSamples,
  type ModelDescription,
  networkFeeds,
  networkObjects,
  numbersOf,
  type OnnxRuntime,
  probeInput,
  SESSION_OPTIONS,
} from '@goshawk/runtime';
import type { Detector } from '../models/index.js';
import { probeObjects } from './describe-export.js';
import { type ExportOptions, onnxOf } from './export-detector.js';
import { encodeModel, type OnnxModel } from './onnx/model-proto.js';
import {
  highestOf,
  lowestOf,
  planQuantization,
  type QuantizationPlan,
  quantize,
  type ValueRange,
  withRanges,
} from './onnx/quantize.js';

export interface Calibration {
  /** onnxruntime-node. */
  readonly ort: OnnxRuntime;
  /** Pictures like those that the detector will see, each a batch of its own. */
  readonly pictures: AsyncIterable<PreparedBatch>;
}

/**
 * int8, static, a scale a channel, in QDQ form.
 * @param model in evaluation mode on the CPU
 * @throws InputError where a part of it cannot be exported, naming it
 */
export async function exportQuantizedDetector(
  model: Detector,
  options: Omit<ExportOptions, 'weights'>,
  { ort, pictures }: Calibration,
): Promise<Uint8Array> {
  const { onnx, description } = onnxOf(model, options);
  const plan = planQuantization(onnx);
  const bytes = quantize(onnx, plan, await measureRanges(ort, withRanges(onnx, plan), plan, pictures));
  // What the file itself finds where it is made: rounding to bytes moves more than runtimes lie apart.
  const probe = { ...description.probe, tolerance: BYTES_TOLERANCE };
  const session = await ort.InferenceSession.create(encodeModel(bytes), SESSION_OPTIONS);
  const batch = probeInput(probe, description.preprocess);
  const outputs = await session.run(networkFeeds(ort, session, batch));
  const [found] = networkObjects(outputs, 1);
  const samples = groupedSamples(probe, outputs);
  await session.release();
  const own: ModelDescription = {
    ...description,
    weights: { ...description.weights, precision: 'int8' },
    probe: { ...probe, objects: probeObjects(found!, options.config.model, BYTES_TOLERANCE), samples },
  };
  return encodeModel({ ...bytes, metadata: { ...bytes.metadata, [DESCRIPTION_KEY]: JSON.stringify(own) } });
}

// Sums of bytes are exact everywhere; the floats before a rounding may put a value on its other side.
const BYTES_TOLERANCE = { iou: 0.9, score: 2e-2, samples: 5e-2 } as const;

/** The mean over the pictures of each value's ends: one picture's rare extreme does not widen the steps of all. */
async function measureRanges(
  ort: OnnxRuntime,
  model: OnnxModel,
  { rounded }: QuantizationPlan,
  pictures: AsyncIterable<PreparedBatch>,
): Promise<ReadonlyMap<string, ValueRange>> {
  const session = await ort.InferenceSession.create(encodeModel(model), SESSION_OPTIONS);
  const values = [...new Set(rounded.values())];
  const sums = new Map(values.map((value) => [value, { low: 0, high: 0 }]));
  let count = 0;
  for await (const batch of pictures) {
    const outputs = await session.run(networkFeeds(ort, session, batch));
    for (const [value, sum] of sums) {
      sum.low += numbersOf(outputs[lowestOf(value)]!)[0]!;
      sum.high += numbersOf(outputs[highestOf(value)]!)[0]!;
    }
    count++;
  }
  await session.release();
  return new Map([...sums].map(([value, { low, high }]) => [value, { low: low / count, high: high / count }]));
}
