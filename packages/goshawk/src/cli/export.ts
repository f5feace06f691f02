// goshawk export: a detector as an ONNX file, and how far what ONNX Runtime finds with it agrees with what the engine finds.
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Category, InputError, prepareBatch } from '@goshawk/core';
import { createDetector, type OnnxRuntime } from '@goshawk/runtime';
import { parseConfig, type RunConfig } from '../config/index.js';
import { decodeImageFile } from '../data/index.js';
import { exportDetector } from '../export/export-detector.js';
import { type Agreement, measureAgreement } from '../export/measure-agreement.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { requireWritableFile } from '../files/output-folder.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { findImages, type OpenDetector, openDetector, readDescription } from '../infer/index.js';
import { formatBytes } from '../terminal/progress-line.js';
import { openCommandConfig } from './open-command-config.js';

export interface ExportCommandOptions {
  readonly config?: string;
  readonly set?: readonly string[];
  readonly output: string;
  readonly precision: 'fp32' | 'fp16';
  readonly verify?: readonly string[];
  readonly json?: boolean;
}

export async function runExport(weights: string, options: ExportCommandOptions): Promise<void> {
  const { output, precision } = options;
  if (!existsSync(weights)) throw new InputError('file-not-found', `${weights}: no such file: check the path`);
  requireWritableFile(output);
  const pictures = options.verify ? findImages(options.verify) : [];
  const ort = options.verify ? await requireOnnxRuntime() : undefined;
  const { config, categories } = describedBy(weights, options);
  endTidilyOnSignals();
  const opened = openDetector({ config, weights, categories });
  const bytes = exportDetector(opened.model, {
    config,
    categories: opened.categories,
    weights: precision === 'fp16' ? 'float16' : 'float32',
    sha256: await sha256Of(weights),
  });
  writeFileAtomic(output, bytes);
  const agreement =
    ort &&
    (await verify(ort, bytes, { opened, config, name: basename(output), paths: pictures.map(({ path }) => path) }));
  if (options.json) {
    const facts = { output, model: config.model.type, precision, bytes: bytes.length };
    console.log(JSON.stringify({ ...facts, ...(agreement && { agreement }) }, undefined, 2));
    return;
  }
  console.log(`${output}: ${config.model.type}, ${opened.categories.length} categories, ${formatBytes(bytes.length)}`);
  if (agreement) console.log(inWords(agreement));
}

/** On the processor in full precision: that is what the file is compared with. */
function describedBy(
  weights: string,
  { config: file, set = [] }: ExportCommandOptions,
): { readonly config: RunConfig; readonly categories: readonly Category[] | undefined } {
  const own = readDescription(weights);
  if (!own && file === undefined)
    throw new InputError('usage', `${weights}: does not say which config it was trained with: name it with --config`);
  const config =
    file === undefined
      ? parseConfig(JSON.stringify(own!.config), { file: weights, sets: set })
      : openCommandConfig(file, set).config;
  return {
    config: {
      ...config,
      runtime: { ...config.runtime, device: 'cpu' },
      train: { ...config.train, precision: 'fp32' },
    },
    categories: own?.categories,
  };
}

async function requireOnnxRuntime(): Promise<OnnxRuntime> {
  try {
    return await import('onnxruntime-node');
  } catch (error) {
    throw new InputError('usage', '--verify: needs onnxruntime-node: run `npm install onnxruntime-node`', {
      cause: error,
    });
  }
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

async function verify(
  ort: OnnxRuntime,
  bytes: Uint8Array,
  {
    opened: { predictor, preprocess },
    config,
    name,
    paths,
  }: {
    readonly opened: OpenDetector;
    readonly config: RunConfig;
    readonly name: string;
    readonly paths: readonly string[];
  },
): Promise<Agreement> {
  const detector = await createDetector(ort, bytes, { name });
  try {
    const pairs: Parameters<typeof measureAgreement>[0][number][] = [];
    for (const path of paths) {
      const image = await decodeImageFile(path, { exifOrientation: config.data.exifOrientation });
      const batch = prepareBatch([image], preprocess);
      const [own] = predictor.predictBatch({ ...batch, images: batch.images.map((each) => ({ ...each, imageId: 0 })) });
      const [other] = await detector.detect([image]);
      pairs.push([own!, other!]);
    }
    return measureAgreement(pairs);
  } finally {
    await detector.release();
  }
}

function inWords(agreement: Agreement): string {
  const { pictures, detections, unmatched, leastIou, largestScoreDifference } = agreement;
  const { leastMaskIou, largestKeypointDistance } = agreement;
  const parts = [
    `${detections} detections above 0.05 in ${pictures} pictures`,
    unmatched === 0 ? 'each with its counterpart' : `${unmatched} without a counterpart`,
    `IoU at least ${leastIou.toFixed(4)}`,
    `scores within ${largestScoreDifference.toExponential(1)}`,
    ...(leastMaskIou === undefined ? [] : [`masks' IoU at least ${leastMaskIou.toFixed(4)}`]),
    ...(largestKeypointDistance === undefined ? [] : [`keypoints within ${largestKeypointDistance.toFixed(3)} pixels`]),
  ];
  return `ONNX Runtime against the engine: ${parts.join(', ')}`;
}
