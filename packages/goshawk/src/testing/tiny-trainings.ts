// Trainings of the tiny detector on the tiny pictures: six steps each, every one of them logged, and every second one saved.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import type { RunConfig } from '../config/index.js';
import { type TrainOptions, type TrainResult, train } from '../train/index.js';
import { type TinyDataset, writeTinyDataset } from './tiny-dataset.js';
import { tinyConfig } from './tiny-detector.js';

const SETS = [
  'train.iterations=6',
  'train.batchSize=2',
  'train.logEvery=1',
  'train.checkpointEvery=2',
  'train.optimizer.lr=0.01',
  'train.schedule.warmupIterations=4',
];

/** Of a training in float16, where the engine has it. */
export const FLOAT16 = ['train.precision=fp16', 'train.batchSize=1'];

export interface TinyTrainings {
  /** Goes when the tests of the file or suite are done. */
  readonly folder: string;
  configOf(sets?: readonly string[], dataset?: TinyDataset): RunConfig;
  /** A folder of a training, which it makes. */
  outputOf(name: string): string;
  run(output: string, options?: Partial<TrainOptions> & { readonly sets?: readonly string[] }): Promise<TrainResult>;
}

/** To be called once in a file or a suite of tests, outside of them; the pictures are there when the first one runs. */
export function tinyTrainings(): TinyTrainings {
  const folder = mkdtempSync(join(tmpdir(), 'goshawk-tiny-trainings-'));
  let data: TinyDataset;
  before(async () => {
    data = await writeTinyDataset(folder);
  });
  after(() => rmSync(folder, { recursive: true }));
  const configOf = (sets: readonly string[] = [], dataset = data) => tinyConfig([...SETS, ...dataset.sets, ...sets]);
  return {
    folder,
    configOf,
    outputOf: (name) => join(folder, 'runs', name),
    run: (output, { sets, ...options } = {}) => train({ config: configOf(sets), output, ...options }),
  };
}
