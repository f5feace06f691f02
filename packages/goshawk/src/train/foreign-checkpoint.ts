// Going on with a training that another program began: the weights, the iteration and the optimizer of its file.
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { InputError } from '@goshawk/core';
import { type LazyTensor, SGD } from '@goshawk/torch';
import { loadWeights, type WeightsReport } from '../infer/detector-file.js';
import { openTrainingFile, type SavedTraining } from '../infer/training-file.js';
import type { Detector } from '../models/index.js';
import type { EffectiveSchedule } from './effective-schedule.js';
import type { DetectorOptimizer } from './optimizer.js';

/** The file in which maskrcnn-benchmark notes its newest checkpoint. */
const LAST_CHECKPOINT = 'last_checkpoint';

/**
 * The checkpoint that the `last_checkpoint` of a folder names: where it says, else beside it, since folders are moved.
 * undefined where there is no such file.
 * @throws InputError where it is not there
 */
export function lastCheckpointOf(folder: string): string | undefined {
  const note = join(folder, LAST_CHECKPOINT);
  if (!existsSync(note)) return undefined;
  const named = readFileSync(note, 'utf8').trim();
  const found = [named, join(folder, basename(named))].find((path) => named !== '' && existsSync(path));
  if (found !== undefined) return found;
  throw new InputError(
    'file-not-found',
    `${note}: names ${named || 'nothing'}, which is not there: put the file beside it, or remove the note`,
  );
}

export interface ForeignProgress {
  /** Optimizer steps done. */
  readonly iteration: number;
  readonly report: WeightsReport;
}

/**
 * Puts the weights and, where they fit, the velocities of SGD into the model and its optimizer. The learning rate is the
 * config's at that iteration, and pictures come in a new order, as in maskrcnn-benchmark.
 * @throws InputError where the weights are another model's, or nothing in the file says where the training stands
 */
export function restoreForeignCheckpoint(
  path: string,
  { model, optimizer, schedule }: { model: Detector; optimizer: DetectorOptimizer; schedule: EffectiveSchedule },
): ForeignProgress {
  const file = openTrainingFile(path);
  try {
    const { saved, weights, names } = file;
    if (saved === undefined)
      throw new InputError(
        'checkpoint-invalid',
        `${path}: does not say where its training stands: start from its weights with --init`,
      );
    const report = loadWeights(model, weights, path);
    const notes = [restoreVelocities(saved, names, optimizer), ...otherSchedule(saved, schedule)];
    return { iteration: saved.iteration, report: { ...report, notes } };
  } finally {
    file.close();
  }
}

/** @param names all of the file, ours, in its order @returns what became of them, in words */
function restoreVelocities(
  { velocities }: SavedTraining,
  names: readonly string[],
  optimizer: DetectorOptimizer,
): string {
  const anew = 'the optimizer starts anew';
  if (velocities === undefined) return `its optimizer cannot be read: ${anew}`;
  if (!(optimizer instanceof SGD)) return `its optimizer is SGD, the config's another: ${anew}`;
  const shapes = new Map(
    optimizer.groups.flatMap(({ entries }) => entries.map(({ name, parameter }) => [name, parameter.shape] as const)),
  );
  const learning = names.filter((name) => shapes.has(name));
  if (learning.length !== velocities.length)
    return `its optimizer has ${velocities.length} parameters, of which ${learning.length} learn here: ${anew}`;
  const tensors = new Map<string, LazyTensor>();
  for (const [index, name] of learning.entries()) {
    const velocity = velocities[index];
    if (velocity === undefined) continue;
    if (velocity.shape.join() !== shapes.get(name)!.join())
      return `its optimizer's parameter ${index} is [${velocity.shape.join(', ')}], ${name} is [${shapes.get(name)!.join(', ')}]: ${anew}`;
    tensors.set(`${name}.momentum_buffer`, velocity);
  }
  optimizer.loadStateDict({ tensors, scalars: {} });
  return `its optimizer: the velocities of ${tensors.size} parameters`;
}

/** What the file says about the learning rate where the config says something else. */
function otherSchedule({ learningRate, steps }: SavedTraining, own: EffectiveSchedule): string[] {
  const isOther = (theirs: number | undefined, ours: number): theirs is number =>
    theirs !== undefined && Math.abs(theirs - ours) > 1e-6 * ours;
  const differences = [
    ...(isOther(learningRate, own.learningRate) ? [`rate ${learningRate}, here ${own.learningRate}`] : []),
    ...(steps !== undefined && steps.join() !== own.schedule.steps.join()
      ? [`steps ${steps.join(', ') || 'none'}, here ${own.schedule.steps.join(', ') || 'none'}`]
      : []),
  ];
  return differences.length === 0 ? [] : [`its schedule is not used, the config's counts: ${differences.join('; ')}`];
}
