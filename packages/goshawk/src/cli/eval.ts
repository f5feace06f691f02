// goshawk eval: a checkpoint's figures on a data set of the config.
import { join } from 'node:path';
import { formatCocoResults, InputError } from '@goshawk/core';
import {
  evaluateAsChallenge,
  evaluateDetector,
  evaluationTypes,
  formatEvaluations,
  openDetector,
} from '../infer/index.js';
import { writeFileAtomic } from '../train/atomic-file.js';
import { createProgressLine, formatDuration } from '../train/progress-line.js';
import { openSplit } from '../train/training-data.js';
import { openCommandConfig } from './open-command-config.js';

export interface EvalCommandOptions {
  readonly weights: string;
  readonly set?: readonly string[];
  readonly output?: string;
  readonly split?: string;
  readonly json?: boolean;
}

export async function runEval(configFile: string, options: EvalCommandOptions): Promise<void> {
  const { config } = openCommandConfig(configFile, options.set);
  const name = splitName(options.split ?? 'val');
  const dataset = openSplit(config, name, { purpose: 'evaluation' });
  for (const warning of dataset.warnings) console.error(`warning: ${warning}`);
  const { predictor, preprocess, categories } = openDetector({
    config,
    weights: options.weights,
    categories: dataset.categories,
  });
  const known = new Set(categories.map((category) => category.id));
  const unknown = dataset.categories.find((category) => !known.has(category.id));
  if (unknown)
    throw new InputError(
      'checkpoint-invalid',
      `${options.weights}: knows no category ${unknown.id} ('${unknown.name}') of ${dataset.fileName}: evaluate on the data it was trained for`,
    );
  const line = createProgressLine();
  const started = performance.now();
  const result = await evaluateDetector(predictor, {
    dataset,
    preprocess,
    batchSize: 1,
    workers: config.data.workers,
    types: evaluationTypes(config.model),
    onProgress: (done, total) => {
      const rate = done / ((performance.now() - started) / 1000);
      line.update(
        `evaluating ${done}/${total}  ${rate.toFixed(1)} images/s  ${formatDuration((total - done) / rate)} left`,
      );
    },
  });
  line.done();
  const challenge = evaluateAsChallenge(dataset, result.detections);
  const metrics = {
    ...Object.fromEntries([...result.evaluations].map(([type, evaluation]) => [type, evaluation.stats])),
    ...challenge?.metrics,
  };
  if (options.output) {
    writeFileAtomic(join(options.output, 'metrics.json'), `${JSON.stringify(metrics, undefined, 2)}\n`);
    writeFileAtomic(join(options.output, 'detections.json'), formatCocoResults(result.detections, dataset.annotations));
  }
  const tables = [formatEvaluations(result.evaluations), ...(challenge === undefined ? [] : [challenge.table])];
  console.log(options.json ? JSON.stringify(metrics) : tables.join('\n\n'));
}

function splitName(name: string): 'train' | 'val' | 'test' {
  if (name === 'train' || name === 'val' || name === 'test') return name;
  throw new InputError('usage', `--split ${name}: unknown: use train, val or test`);
}
