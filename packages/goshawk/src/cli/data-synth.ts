// goshawk data synth: makes a data set of annotated scenes.
import { InputError, type ShapeName, shapeNames } from '@goshawk/core';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { createProgressLine, formatDuration } from '../terminal/progress-line.js';
import { wholeNumber } from './parse-option.js';
import { writeSyntheticDataset } from './synthetic-dataset.js';

export interface DataSynthCommandOptions {
  readonly output: string;
  readonly images: string;
  readonly seed: string;
  readonly size: string;
  readonly difficulty: 'demo' | 'hard';
  readonly split: string;
  readonly shapes?: string;
}

export async function runDataSynth(options: DataSynthCommandOptions): Promise<void> {
  const images = wholeNumber('--images', options.images, 1, 1_000_000);
  const seed = wholeNumber('--seed', options.seed, 0, Number.MAX_SAFE_INTEGER);
  const size = /^(\d{2,4})x(\d{2,4})$/.exec(options.size);
  if (size === null)
    throw new InputError('usage', `--size ${options.size}: expected WIDTHxHEIGHT in pixels: write for example 320x240`);
  const splits = parseSplits(options.split, images);
  endTidilyOnSignals();
  const line = createProgressLine();
  const started = performance.now();
  await writeSyntheticDataset({
    output: options.output,
    work: 'goshawk data synth',
    splits,
    seed,
    width: Number(size[1]),
    height: Number(size[2]),
    difficulty: options.difficulty,
    categories: options.shapes === undefined ? undefined : parseShapes(options.shapes),
    onProgress: (done, total) => {
      const rate = done / ((performance.now() - started) / 1000);
      line.update(
        `${done}/${total} scenes  ${rate.toFixed(1)} a second  ${formatDuration((total - done) / rate)} left`,
      );
    },
  });
  line.done();
  const made = splits.map((split) => `${split.name}.json (${split.images} pictures)`).join(', ');
  console.log(`${options.output}: ${made}, pictures in images/`);
}

/** `circle,figure` */
function parseShapes(text: string): ShapeName[] {
  return text.split(',').map((part) => {
    const name = shapeNames.find((known) => known === part.trim());
    if (name !== undefined) return name;
    throw new InputError('usage', `--shapes ${text}: ${part.trim()} is no shape (expected ${shapeNames.join(', ')})`);
  });
}

/** `train,val`: every split after the first gets a fifth of the pictures; `train=80,val=20` says the numbers. */
export function parseSplits(text: string, images: number): { name: string; images: number }[] {
  const parts = text.split(',').map((part) => {
    const match = /^([A-Za-z0-9_-]+)(?:=(\d+))?$/.exec(part.trim());
    if (match === null)
      throw new InputError('usage', `--split ${text}: expected names such as train,val or train=80,val=20`);
    return { name: match[1]!, images: match[2] === undefined ? undefined : Number(match[2]) };
  });
  if (new Set(parts.map((part) => part.name)).size < parts.length) {
    throw new InputError('usage', `--split ${text}: a name stands twice: name each split once`);
  }
  const isCounted = parts.every((part) => part.images !== undefined);
  if (!isCounted && parts.some((part) => part.images !== undefined)) {
    throw new InputError('usage', `--split ${text}: give all splits a number or none`);
  }
  const fifth = Math.max(1, Math.round(images / 5));
  const first = images - fifth * (parts.length - 1);
  const splits = parts.map(({ name, images: count }, i) => ({ name, images: count ?? (i === 0 ? first : fifth) }));
  if (splits.some((split) => split.images < 1)) {
    throw new InputError('usage', `--split ${text}: too few pictures for ${parts.length} splits: raise --images`);
  }
  return splits;
}
