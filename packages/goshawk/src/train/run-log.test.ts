import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createProgressLine } from '../terminal/progress-line.js';
import { tinyConfig } from '../testing/tiny-detector.js';
import { readMetrics } from './metrics-log.js';
import { RunLog } from './run-log.js';
import type { StepRecord, TrainStart } from './train-options.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-run-log-'));
after(() => rmSync(folder, { recursive: true }));

function start(iteration: number): TrainStart {
  return {
    config: tinyConfig(['train.logEvery=4']),
    categories: [],
    trainImages: 4,
    valImages: 0,
    parameters: 1,
    learningParameters: 1,
    threads: 1,
    schedule: {
      iterations: 10,
      checkpointEvery: 10,
      logEvery: 4,
      evaluateEvery: 0,
      learningRate: 1,
      schedule: tinyConfig().train.schedule,
    } as unknown as TrainStart['schedule'],
    processes: 1,
    warnings: [],
    notices: [],
    iteration,
    evaluationDue: false,
    initialised: [],
  };
}

const step = (iteration: number): StepRecord => ({
  iteration,
  iterations: 10,
  losses: { loss_box: iteration, loss_mask: 1 },
  totalLoss: iteration + 1,
  learningRate: 0.1 * iteration,
  images: 2,
  seconds: 1,
  dataSeconds: 0,
});

test('a line has the means of the losses since the line before, and the learning rate of its step', () => {
  const log = new RunLog(folder, createProgressLine({ stream: { write: () => true } }));
  log.onStart(start(0));
  for (let iteration = 1; iteration <= 10; iteration++) log.onStep(step(iteration));
  log.close();
  const lines = readMetrics(join(folder, 'metrics.jsonl'));
  assert.deepEqual(
    lines.map(({ iteration, loss, loss_box, loss_mask }) => [iteration, loss, loss_box, loss_mask]),
    [
      [4, 3.5, 2.5, 1],
      [8, 7.5, 6.5, 1],
      [10, 10.5, 9.5, 1],
    ],
  );
  assert.deepEqual(
    lines.map(({ lr }) => lr),
    [0.4, 0.8, 1],
  );
});
