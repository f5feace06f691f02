// Sparse R-CNN's augmentations on pictures in memory: samples a second of one core, next to OpenCV and numpy.
//
//     node bench/dist/augment.js [--python PYTHON] [--samples 100] [--rounds 5] [--size 640]
//
// PYTHON needs opencv-python-headless; default: the environment's GOSHAWK_PEER_PYTHON, else python3. From decoded pictures
// of 640 x 480 to the network's float32 values and boxes, without reading and decoding. Both sides take turns; what is
// counted is the processor's time, all threads of it, so that another program on the machine does not matter much.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { prepareImage, type RgbImage, synthesizeScene, torchvisionPreprocess } from '@goshawk/core';
import { fastResizer, makePicture, parseConfig, planSteps, recycle } from 'goshawk';
import { median, PeerProcess } from './peer-process.js';

const { values: options } = parseArgs({
  options: {
    python: { type: 'string', default: process.env.GOSHAWK_PEER_PYTHON ?? 'python3' },
    samples: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '5' },
    size: { type: 'string', default: '640' },
  },
});
const samples = Number(options.samples);
const size = Number(options.size);

const jitter = `{type: one_of, choices: [{}, {steps: [{type: hsv}]}, {steps: [{type: blur, probability: 0.5}]},
  {steps: [{type: noise, probability: 0.5}]}]}`;
const { augment: steps } = parseConfig(
  `{model: {type: faster_rcnn}, data: {augment: [{type: one_of, choices: [
    {weight: 0.2, steps: [${jitter}, {type: crop, probability: 0.2}, {type: resize, size: ${size}},
      {type: affine, degrees: 10, minScale: 0.8, maxScale: 1.2}]},
    {weight: 0.8, steps: [${jitter}, {type: resize, size: ${size}, pad: false}, {type: mosaic, size: ${size}},
      {type: affine, size: [${size}, ${size}], minScale: 0.5, maxScale: 1.5, translate: 0.1}]}]}, {type: flip}]}}`,
  { file: 'bench' },
).data;

const PICTURES = 16;
const scenes = Array.from({ length: PICTURES }, (_, index) =>
  synthesizeScene({ seed: 3, index, width: 640, height: 480, objects: [2, 8] }),
);
const dataset = {
  samples: scenes.map(({ annotations }, i) => ({
    image: { id: i, fileName: `${i}`, width: 640, height: 480 },
    path: `${i}`,
    // Boxes alone, as the other side has them.
    annotations: annotations.map(({ segmentation: _, keypoints: __, ...rest }) => rest),
  })),
  classOf: new Map(scenes.flatMap(({ annotations }) => annotations.map(({ categoryId }) => [categoryId, categoryId]))),
};
const preprocess = {
  ...torchvisionPreprocess,
  resize: { ...torchvisionPreprocess.resize, rule: 'none' as const, kernel: 'opencv' as const },
};

const copyOf = (image: RgbImage): RgbImage => ({ ...image, data: image.data.slice() });

// As the loader's batches: memory that is used again.
const into = { data: new Float32Array(size * size * 3), offset: 0, rowStride: size * 3 };
let turn = 0;
async function ours(): Promise<{ readonly seconds: number; readonly objects: number }> {
  const before = process.cpuUsage();
  let objects = 0;
  for (let i = 0; i < samples; i++, turn++) {
    const { picture } = planSteps(dataset.samples[i % PICTURES]!, steps, dataset, [1, 2, turn]);
    const decode = async ({ image: { id } }: { readonly image: { readonly id: number } }): Promise<RgbImage> =>
      copyOf(scenes[id]!.image);
    const made = await makePicture(picture, decode, { keypointFlipOrder: [] });
    prepareImage(made.image, preprocess, { into, resizer: fastResizer });
    recycle(made.image);
    objects += made.objects.length;
  }
  const { user, system } = process.cpuUsage(before);
  return { seconds: (user + system) / 1e6, objects };
}

const folder = mkdtempSync(join(tmpdir(), 'goshawk-augment-'));
const peer = new PeerProcess(options.python, [fileURLToPath(new URL('../peers/augment.py', import.meta.url))]);
try {
  const file = join(folder, 'pictures');
  writeFileSync(file, Buffer.concat(scenes.map(({ image }) => image.data)));
  const pictures = dataset.samples.map(({ image, annotations }) => [
    image.width,
    image.height,
    annotations.map(({ bbox: [x, y, w, h] }) => [x, y, x + w, y + h]),
  ]);
  const { version } = await peer.ask<{ version: string }>({ open: file, pictures, size });
  const rates: Record<'ours' | 'plain' | 'best', number[]> = { ours: [], plain: [], best: [] };
  const theirs = (best: boolean) => peer.ask<{ seconds: number; objects: number }>({ samples, best });
  // The first turns compile and fill caches.
  await ours();
  await theirs(true);
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const [name, run] of [
      ['ours', ours],
      ['plain', () => theirs(false)],
      ['best', () => theirs(true)],
    ] as const)
      rates[name].push(samples / (await run()).seconds);
  }
  console.log(`${size} px, ${samples} samples a turn, ${options.rounds} turns; ${version}`);
  for (const [name, values] of Object.entries(rates)) {
    const [least, most] = [Math.min(...values), Math.max(...values)];
    console.log(
      `${name.padEnd(6)} ${median(values).toFixed(1)} samples/s of a core (${least.toFixed(1)} to ${most.toFixed(1)})`,
    );
  }
  const ratio = (name: 'plain' | 'best') => (median(rates.ours) / median(rates[name])).toFixed(2);
  console.log(`ours / plain ${ratio('plain')}, ours / best ${ratio('best')}`);
} finally {
  peer.close();
  rmSync(folder, { recursive: true, force: true });
}
