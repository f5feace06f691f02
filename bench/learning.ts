// Models that must learn: each is trained from random weights, measured, and held against the figure it should reach.
//
//     npm run check:learning -- keypoints [--keep FOLDER]
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
import { loadConfig, RunLog, train } from 'goshawk';
import { runGoshawk } from './tiny-training.js';

interface Lesson {
  readonly config: string;
  /** Arguments of goshawk data synth; absent: eight pictures of the given annotations. */
  readonly scenes?: readonly string[];
  readonly measure: IouType;
  /** AP50 that must be reached. */
  readonly least: number;
  readonly minutes: number;
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
  const started = performance.now();
  const file = fileURLToPath(new URL(`../../configs/${lesson.config}`, import.meta.url));
  const { config } = loadConfig(file, dataOf(lesson, folder));
  const log = new RunLog(join(folder, 'run'));
  const { evaluations } = await train({ config, output: join(folder, 'run'), observer: log });
  log.close();
  const minutes = (performance.now() - started) / 60_000;
  const figures = evaluations?.get(lesson.measure)?.stats;
  const reached = figures?.AP50 ?? 0;
  const isGood = reached >= lesson.least && minutes <= lesson.minutes;
  console.log(
    `${name}: ${lesson.measure} AP50 ${reached.toFixed(3)} (at least ${lesson.least}), AP ${figures?.AP.toFixed(3)}, ` +
      `${minutes.toFixed(1)} minutes (at most ${lesson.minutes}): ${isGood ? 'reached' : 'MISSED'}`,
  );
  return isGood;
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
