// One detector for a server, on the engine or on ONNX Runtime.
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import type { Detection, RgbImage } from '@goshawk/core';
import { createDetector, readModelDescription } from '@goshawk/runtime';
import { sha256Of } from '../files/sha256.js';
import { openDetector } from '../infer/index.js';
import { loadOnnxRuntime } from '../infer/load-onnx-runtime.js';
import type { ModelFacts, ModelSource } from './thread-messages.js';

export interface ServedDetector {
  readonly facts: ModelFacts;
  /** In the picture's own pixels, best first: what `goshawk predict` finds. */
  detect(image: RgbImage): Promise<readonly Detection[]> | readonly Detection[];
}

/** @throws InputError where the file cannot be read or is none of ours, or ONNX Runtime is missing or computes other numbers */
export function openServedDetector(source: ModelSource): Promise<ServedDetector> {
  return source.kind === 'engine' ? onEngine(source) : onOnnxRuntime(source);
}

async function onEngine({ weights, config, categories }: ModelSource & { kind: 'engine' }): Promise<ServedDetector> {
  const opened = openDetector({ config, weights, ...(categories && { categories }) });
  const { predictor, preprocess } = opened;
  return {
    facts: {
      type: config.model.type,
      runtime: 'engine',
      sha256: sha256Of(weights),
      precision: config.train.precision,
      categories: opened.categories,
      preprocess,
      exifOrientation: config.data.exifOrientation,
      threads: config.runtime.threads || availableParallelism(),
    },
    detect: (image) => predictor.predict([image])[0] ?? [],
  };
}

async function onOnnxRuntime({ file, threads }: ModelSource & { kind: 'onnx' }): Promise<ServedDetector> {
  const bytes = await readFile(file);
  const name = basename(file);
  const description = readModelDescription(bytes, name);
  const ort = await loadOnnxRuntime(name);
  const session = threads === undefined ? {} : { intraOpNumThreads: threads };
  const detector = await createDetector(ort, bytes, { name, session });
  const { model, weights, categories, preprocess, config } = description;
  const data = (config as { readonly data?: { readonly exifOrientation?: 'apply' | 'ignore' } }).data;
  return {
    facts: {
      type: model,
      runtime: 'onnxruntime',
      sha256: weights.sha256,
      precision: weights.precision,
      categories,
      preprocess,
      exifOrientation: data?.exifOrientation ?? 'apply',
      threads,
    },
    detect: async (image) => (await detector.detect([image]))[0] ?? [],
  };
}
