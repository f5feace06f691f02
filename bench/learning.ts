// Models that must learn: each is trained from random weights, measured, and held against the figure it should reach.
//
//     npm run check:learning -- keypoints augmentations [--keep FOLDER]
//     npm run check:learning -- c4 gn --annotations FILE --images FOLDER
//
// The first kind learns made scenes and is measured on others; the second learns the first eight pictures of a COCO file by
// heart. Exit code 1 where a figure or the time is missed.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { InputError, type IouType } from '@goshawk/core';
import { createProgressLine, loadConfig, train } from 'goshawk';
import { runGoshawk } from './tiny-training.js';

interface Lesson {
  readonly config: string;
  /** Arguments of goshawk data synth; absent: eight pictures of the given annotations. */
  readonly scenes?: readonly string[];
  readonly measure: IouType;
  /** AP50 that must be reached. */
  readonly least: number;
  readonly minutes: number;
  /** A training of the same time with other values of the config, whose AP50 has to be lower by `margin`. */
  readonly without?: { readonly sets: readonly string[]; readonly margin: number };
}

const lessons: Readonly<Record<string, Lesson>> = {
  keypoints: {
    config: 'demo/keypoint_rcnn_r18_tiny.yaml',
    scenes: ['--images', '900', '--split', 'train=800,val=100', '--shapes', 'figure', '--size', '160x160'],
    measure: 'keypoints',
    least: 0.8,
    minutes: 15,
  },
  spinenet: {
    config: 'demo/retinanet_spinenet_49s.yaml',
    scenes: ['--images', '1600', '--split', 'train=1500,val=100', '--size', '128x128'],
    measure: 'bbox',
    least: 0.8,
    minutes: 20,
  },
  sparse: {
    config: 'demo/sparse_rcnn_r18_tiny.yaml',
    scenes: ['--images', '2600', '--split', 'train=2500,val=100', '--size', '128x128'],
    measure: 'bbox',
    least: 0.6,
    minutes: 30,
  },
  'sparse-photos': { config: 'casia/overfit-8-photos-sparse.yaml', measure: 'bbox', least: 0.8, minutes: 30 },
  solov2: {
    config: 'demo/solov2_light_r18_tiny.yaml',
    scenes: ['--images', '1000', '--split', 'train=900,val=100', '--size', '128x128'],
    measure: 'segm',
    least: 0.7,
    minutes: 20,
  },
  'solov2-photos': { config: 'casia/overfit-8-photos-solov2.yaml', measure: 'segm', least: 0.8, minutes: 30 },
  // Eighty hard pictures, learned by heart without augmentations.
  augmentations: {
    config: 'demo/faster_rcnn_r18_augmented.yaml',
    scenes: [
      ...['--images', '240', '--split', 'train=80,val=160', '--size', '80x80', '--difficulty', 'hard'],
      ...['--shapes', 'circle,rectangle,triangle,star'],
    ],
    measure: 'bbox',
    least: 0.12,
    minutes: 15,
    // Steps without take 0.6 of the time, so that there are more of them.
    without: {
      sets: ['data.augment=[]', 'data.flip=0', 'train.iterations=960', 'train.schedule.steps=[672,880]'],
      margin: 0.03,
    },
  },
  c4: { config: 'casia/overfit-8-photos-c4.yaml', measure: 'bbox', least: 0.9, minutes: 30 },
  gn: { config: 'casia/overfit-8-photos-gn.yaml', measure: 'bbox', least: 0.9, minutes: 30 },
  // Random weights, whose norms have to find their statistics first.
  res2net: { config: 'casia/overfit-8-photos-res2net.yaml', measure: 'segm', least: 0.8, minutes: 45 },
  'spinenet-photos': { config: 'casia/overfit-8-photos-spinenet.yaml', measure: 'bbox', least: 0.9, minutes: 30 },
};

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: { keep: { type: 'string' }, annotations: { type: 'string' }, images: { type: 'string' } },
});

try {
  await main();
} catch (error) {
  if (!(error instanceof InputError)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}

async function main(): Promise<void> {
  const chosen = names.map((name) => [name, lessons[name] ?? unknown(name)] as const);
  if (chosen.length === 0)
    throw new InputError('usage', `nothing to learn: name some of ${Object.keys(lessons).join(', ')}`);
  const folder = options.keep ?? mkdtempSync(join(tmpdir(), 'goshawk-learning-'));
  mkdirSync(folder, { recursive: true });
  try {
    for (const [name, lesson] of chosen) if (!(await learn(name, lesson, join(folder, name)))) process.exitCode = 1;
  } finally {
    if (options.keep === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

async function learn(name: string, lesson: Lesson, folder: string): Promise<boolean> {
  const { reached, ap, minutes } = await trained(lesson, folder, 'run', []);
  const isGood = reached >= lesson.least && minutes <= lesson.minutes;
  console.log(
    `${name}: ${lesson.measure} AP50 ${reached.toFixed(3)} (at least ${lesson.least}), AP ${ap.toFixed(3)}, ` +
      `${minutes.toFixed(1)} minutes (at most ${lesson.minutes}): ${isGood ? 'reached' : 'MISSED'}`,
  );
  if (!lesson.without) return isGood;
  const { sets, margin } = lesson.without;
  const other = await trained(lesson, folder, 'without', sets);
  const isAhead = reached - other.reached >= margin;
  console.log(
    `${name}: with ${sets.join(' ')} AP50 ${other.reached.toFixed(3)}, AP ${other.ap.toFixed(3)}, ` +
      `${other.minutes.toFixed(1)} minutes: ${(reached - other.reached).toFixed(3)} ahead (at least ${margin}): ${isAhead ? 'reached' : 'MISSED'}`,
  );
  return isGood && isAhead;
}

async function trained(
  lesson: Lesson,
  folder: string,
  run: string,
  sets: readonly string[],
): Promise<{ readonly reached: number; readonly ap: number; readonly minutes: number }> {
  const started = performance.now();
  const file = fileURLToPath(new URL(`../../configs/${lesson.config}`, import.meta.url));
  const { config } = loadConfig(file, [...dataOf(lesson, folder), ...sets]);
  const output = join(folder, run);
  const { evaluations } = await train({ config, output, line: createProgressLine() });
  const figures = evaluations?.get(lesson.measure)?.stats;
  const minutes = (performance.now() - started) / 60_000;
  return { reached: figures?.AP50 ?? 0, ap: figures?.AP ?? 0, minutes };
}

/** `--set` options that name the data; made scenes are made first. */
function dataOf(lesson: Lesson, folder: string): string[] {
  if (lesson.scenes) {
    const scenes = join(folder, 'scenes');
    if (!existsSync(scenes)) runGoshawk(['data', 'synth', '--output', scenes, ...lesson.scenes]);
    return ['train', 'val'].flatMap((split) => [
      `data.${split}.annotations=${join(scenes, `${split}.json`)}`,
      `data.${split}.images=${join(scenes, 'images')}`,
    ]);
  }
  const { annotations, images } = options;
  if (annotations === undefined || images === undefined)
    throw new InputError('usage', 'eight photos are learned from a COCO file: pass --annotations FILE --images FOLDER');
  return ['train', 'val'].flatMap((split) => [
    `data.${split}.annotations=${annotations}`,
    `data.${split}.images=${images}`,
  ]);
}

function unknown(name: string): never {
  throw new InputError('usage', `${name} is no lesson: expected ${Object.keys(lessons).join(', ')}`);
}
