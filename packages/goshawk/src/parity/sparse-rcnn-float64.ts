// Twelve training steps of sparse_rcnnv1 in float64, in which they do not depend on the order of sums, in figures:
//   node packages/goshawk/dist/parity/sparse-rcnn-float64.js [STEPS]
// A line a comparison: what was compared, how far it is off, and how far it may be. Takes 5 GB of memory and a few minutes.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scope, setThreads } from '@goshawk/torch';
import { loadWeights } from '../infer/detector-file.js';
import { buildModel, type Detector } from '../models/index.js';
import { WeightAverage } from '../train/weight-average.js';
import { float64Steps } from './float64-steps.js';
import { ParityCase } from './parity-case.js';
import { makeParityState } from './parity-weights.js';
import {
  distances,
  LOSSES,
  normOver,
  startOf,
  TRAJECTORY_CASE,
  type TrajectoryFacts,
  trajectoryConfig,
} from './sparse-rcnn-training.js';

const LIMIT = 1e-8;

/** The first so many of the twelve. */
const count = Number(process.argv[2] ?? 12);

setThreads(2);
const folder = mkdtempSync(join(tmpdir(), 'goshawk-float64-'));
try {
  await compare();
} finally {
  rmSync(folder, { recursive: true });
}

async function compare(): Promise<void> {
  const parity = new ParityCase<TrajectoryFacts>(TRAJECTORY_CASE);
  const { facts } = parity;
  const config = trajectoryConfig(facts, folder);
  const state = makeParityState(parity.state());
  const { start, names } = startOf(state, facts);
  const build = (): Detector => buildModel(config.model, { classes: 80 }).to({ dtype: 'float64' });
  const model = build();
  loadWeights(model, state, 'state.json');
  const average = new WeightAverage(model, build(), config.train.ema!);
  model.train();
  const steps = float64Steps(config, model);
  for (const [index, wanted] of facts.float64.steps.slice(0, count).entries()) {
    const { value } = await steps.next();
    const { learningRate, losses, gradientNorm } = value!;
    average.update(index + 1);
    const moved = distances(model, start, names);
    const step = `step ${index + 1}`;
    say(`${step}, learning rate`, relative(learningRate, wanted.lr), 1e-12);
    for (const name of ['cls_loss', 'iou_loss', 'l1_loss'] as const)
      say(`${step}, ${name}`, relative(losses[LOSSES[name]]!, wanted[name]), LIMIT);
    say(`${step}, norm of the gradient`, relative(gradientNorm, wanted.grad_norm_total), LIMIT);
    say(`${step}, movement of a parameter`, worst(moved, wanted.movement!), LIMIT);
    say(`${step}, movement of all`, relative(normOver(moved), wanted.movement_total), LIMIT);
  }
  await steps.return(undefined);
  if (count < facts.float64.steps.length) return;
  const averageMoved = distances(average.model, start, names);
  const gaps = distances(average.model, model.stateDict(), names);
  say(
    'after all, movement of the average',
    worst(
      averageMoved,
      facts.float64.after.map(([, own]) => own),
    ),
    LIMIT,
  );
  say(
    'after all, average from weights',
    worst(
      gaps,
      facts.float64.after.map(([, , gap]) => gap),
    ),
    1e-6,
  );
  say('after all, weights', farthestValue(model, names, facts.float64.values), LIMIT);
  say('after all, averages', farthestValue(average.model, names, facts.float64.ema_values), LIMIT);
}

function relative(own: number, wanted: number): number {
  return Math.abs(own - wanted) / Math.abs(wanted);
}

function worst(own: readonly number[], wanted: readonly number[]): number {
  return Math.max(...own.map((value, i) => relative(value, wanted[i]!)));
}

function farthestValue(model: Detector, names: readonly string[], wanted: readonly (readonly number[])[]): number {
  const state = model.stateDict();
  const apart = names.map((name, at) => {
    const values = scope(() => state.get(name)!.toNumbers());
    return Math.max(...wanted[at]!.map((value, k) => Math.abs(values[Math.floor((k * values.length) / 8)]! - value)));
  });
  return Math.max(...apart);
}

function say(name: string, value: number, limit: number): void {
  const isClose = value <= limit;
  console.log(
    `${isClose ? 'ok    ' : 'MISSED'} ${name}: ${value.toExponential(1)} (at most ${limit.toExponential(0)})`,
  );
  if (!isClose) process.exitCode = 1;
}
