// goshawk export: a detector as an ONNX file, and how far what ONNX Runtime finds with it agrees with what the engine finds.
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { type Category, InputError } from '@goshawk/core';
import { parseConfig, type RunConfig } from '../config/index.js';
import { exportDetector } from '../export/export-detector.js';
import { exportQuantizedDetector } from '../export/quantize-detector.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { requireWritableFile } from '../files/output-folder.js';
import { missingRemedy } from '../files/read-file.js';
import { sha256Of } from '../files/sha256.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { findImages, type NamedImage, openDetector, readDescription } from '../infer/index.js';
import { loadOnnxRuntime } from '../infer/load-onnx-runtime.js';
import { formatBytes } from '../terminal/progress-line.js';
import { openCommandConfig } from './open-command-config.js';
import { preparedPictures, readTruth, verificationLines, verifyExport } from './verify-export.js';
import { refuseOnnx } from './weights-argument.js';

export interface ExportCommandOptions {
  readonly config?: string;
  readonly set?: readonly string[];
  readonly output: string;
  readonly precision: 'fp32' | 'fp16' | 'int8';
  readonly calibrate?: readonly string[];
  /** Objects of the pictures, for AP. */
  readonly annotations?: string;
  readonly verify?: readonly string[];
  readonly json?: boolean;
}

export async function runExport(weights: string, options: ExportCommandOptions): Promise<void> {
  const { output, precision } = options;
  if (!existsSync(weights))
    throw new InputError('file-not-found', `${weights}: no such file: ${missingRemedy(weights)}`);
  requireWritableFile(output);
  const calibrating = picturesToCalibrate(options);
  const verifying = options.verify ? findImages(options.verify) : calibrating;
  const ort =
    verifying.length > 0 ? await loadOnnxRuntime(calibrating.length > 0 ? '--calibrate' : '--verify') : undefined;
  const truth = options.annotations === undefined ? undefined : readTruth(options.annotations, verifying);
  const { config, categories } = describedBy(weights, options);
  endTidilyOnSignals();
  const opened = openDetector({ config, weights, categories });
  const about = { config, categories: opened.categories, sha256: sha256Of(weights) };
  const pathsOf = (pictures: readonly NamedImage[]): string[] => pictures.map(({ path }) => path);
  const isQuantized = ort !== undefined && precision === 'int8';
  const bytes = isQuantized
    ? await exportQuantizedDetector(opened.model, about, {
        ort,
        pictures: preparedPictures(pathsOf(calibrating), config, opened.preprocess),
      })
    : exportDetector(opened.model, { ...about, weights: precision === 'fp16' ? 'float16' : 'float32' });
  writeFileAtomic(output, bytes);
  const checked =
    ort &&
    (await verifyExport(ort, bytes, {
      opened,
      config,
      name: basename(output),
      paths: pathsOf(verifying),
      truth,
      precision,
      ...(isQuantized && { rival: exportDetector(opened.model, about) }),
    }));
  if (options.json) {
    const facts = { output, model: config.model.type, precision, bytes: bytes.length };
    console.log(JSON.stringify({ ...facts, ...checked }, undefined, 2));
    return;
  }
  console.log(`${output}: ${config.model.type}, ${opened.categories.length} categories, ${formatBytes(bytes.length)}`);
  if (checked) for (const line of verificationLines(checked, precision)) console.log(line);
}

function picturesToCalibrate({ precision, calibrate, annotations, verify }: ExportCommandOptions): NamedImage[] {
  if (precision !== 'int8' && calibrate)
    throw new InputError('usage', `--calibrate: belongs to --precision int8, not to ${precision}: leave it out`);
  if (precision === 'int8' && !calibrate)
    throw new InputError(
      'usage',
      '--precision int8: needs pictures like those that the detector will see: name some dozens with --calibrate',
    );
  if (annotations !== undefined && !verify && !calibrate)
    throw new InputError('usage', '--annotations: belongs to the pictures of --verify: name them too');
  return calibrate ? findImages(calibrate) : [];
}

/** On the processor in full precision: that is what the file is compared with. */
function describedBy(
  weights: string,
  { config: file, set = [] }: ExportCommandOptions,
): { readonly config: RunConfig; readonly categories: readonly Category[] | undefined } {
  refuseOnnx(weights);
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
