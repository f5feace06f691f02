// A tiny detector's files, as a command takes them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeSafetensors } from '@goshawk/torch';
import { configToYaml } from '../config/index.js';
import { describeDetector } from '../infer/index.js';
import { tinyConfig, tinyDetector } from './tiny-detector.js';

/** @returns the paths of a config and of weights, fresh ones that find something everywhere at low scores */
export function writeTinyModel(folder: string): { readonly config: string; readonly weights: string } {
  const config = tinyConfig(['model.boxHead.scoreThreshold=0.01']);
  const files = { config: join(folder, 'config.yaml'), weights: join(folder, 'tiny.safetensors') };
  writeFileSync(files.config, configToYaml(config));
  const categories = [
    { id: 2, name: 'red' },
    { id: 5, name: 'blue' },
  ];
  const state = [...tinyDetector().stateDict()];
  writeSafetensors(
    files.weights,
    state.map(([name, tensor]) => ({ name, dtype: tensor.dtype, shape: tensor.shape, data: tensor.toBytes() })),
    describeDetector({ config, categories }),
  );
  return files;
}
