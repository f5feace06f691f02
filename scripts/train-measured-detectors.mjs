// Trains small detectors of every kind for check:export and check:browser: the first rows of docs/export.md's tables.
//   node scripts/train-measured-detectors.mjs OUTPUT --photos ANNOTATIONS,IMAGES [--threads 1] [NAME...]
// ANNOTATIONS is a COCO file with masks, IMAGES the folder of its pictures, of which eight are learned; scenes and figures are made.
// Writes OUTPUT/NAME.safetensors, of all or of those that are named; what is there is kept. A minute or a few each: they find much in
// other photos that is not there, which gives the comparison more to compare. Needs a finished `tsc -b` and the engine.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const main = fileURLToPath(new URL('../packages/goshawk/dist/cli/main.js', import.meta.url));
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { photos: { type: 'string' }, threads: { type: 'string', default: '1' } },
});
const [output, ...names] = positionals;
if (output === undefined || options.photos === undefined) {
  console.error('train-measured-detectors: name a folder to write to, and --photos ANNOTATIONS,IMAGES');
  process.exit(2);
}

const SMALL = { depth: 18, width: 32, norm: 'batch', frozenStages: 0 };
const PYRAMID = { backbone: SMALL, neck: { channels: 64 }, anchors: { sizes: [[16], [32], [64], [128], [256]] } };
const FOURTH_STAGE = {
  conventions: 'detectron',
  backbone: SMALL,
  neck: { type: 'none', stage: 4 },
  anchors: { sizes: [[16, 32, 64, 128, 256]] },
};
const RPN = { preNmsTopN: { train: 500, test: 300 }, postNmsTopN: { train: 200, test: 100 } };
const BOXES = { batchSizePerImage: 64, hiddenSize: 256 };
const STAGE_5 = { kind: 'stage5', poolSize: 14, batchSizePerImage: 16 };
const GRIDS = {
  grids: [14, 12, 8, 6, 4],
  scaleRanges: [
    [1, 40],
    [20, 80],
    [40, 160],
    [80, 240],
    [160, 640],
  ],
};
const LIGHT = { channels: 128, convolutions: 2, ...GRIDS };

/** A model, what it learns (photos unless said otherwise), for how many steps, and the shorter side of its pictures. */
const TRAININGS = {
  'faster-rcnn-r18-c4': { model: { type: 'faster_rcnn', ...FOURTH_STAGE, rpn: RPN, boxHead: STAGE_5 }, steps: 60 },
  'mask-rcnn-r18': {
    model: { type: 'mask_rcnn', ...PYRAMID, rpn: RPN, boxHead: BOXES, maskHead: { channels: [64, 64] } },
    ...{ data: 'scenes', steps: 200 },
  },
  'mask-rcnn-r18-c4': {
    model: {
      ...{ type: 'mask_rcnn', ...FOURTH_STAGE, rpn: RPN, boxHead: STAGE_5 },
      maskHead: { kind: 'stage5_shared', poolSize: 14, upsampleChannels: 64 },
    },
    steps: 60,
  },
  'mask-rcnn-res2net50': {
    model: {
      ...{ type: 'mask_rcnn', ...PYRAMID, conventions: 'maskrcnn_benchmark', rpn: RPN, boxHead: BOXES },
      backbone: { depth: 50, widthPerGroup: 26, scale: 4, norm: 'batch', frozenStages: 0 },
      maskHead: { channels: [64, 64] },
    },
    ...{ steps: 60, size: 128 },
  },
  'keypoint-rcnn-r18': {
    model: { type: 'keypoint_rcnn', ...PYRAMID, rpn: RPN, boxHead: BOXES, keypointHead: { channels: [64, 64] } },
    ...{ data: 'figures', steps: 150 },
  },
  'retinanet-r18': { model: { type: 'retinanet', backbone: SMALL, neck: { channels: 64 } }, steps: 100 },
  'solov2-light-r18': {
    model: {
      type: 'solov2',
      backbone: SMALL,
      neck: { channels: 64 },
      maskFeatures: { channels: 64, outputs: 64 },
      head: LIGHT,
    },
    ...{ data: 'scenes', steps: 200 },
  },
  'solov2-light-r18-gn': {
    model: {
      ...{ type: 'solov2', backbone: { ...SMALL, norm: 'group' }, neck: { channels: 64 } },
      ...{ maskFeatures: { channels: 64, outputs: 64 }, head: LIGHT },
    },
    steps: 80,
  },
  'solov2-r18': {
    model: { type: 'solov2', backbone: SMALL, neck: { channels: 256 }, head: GRIDS },
    steps: 20,
    size: 128,
  },
  'decoupled-solo-r18': {
    model: { type: 'decoupled_solo', backbone: SMALL, neck: { channels: 64 }, head: LIGHT },
    steps: 80,
  },
  'sparse-rcnn-r18': {
    model: {
      ...{ type: 'sparse_rcnn', backbone: { ...SMALL, norm: 'group' }, neck: { channels: 64, extraLevel: 'none' } },
      ...{ proposals: 50, head: { stages: 3, feedforwardSize: 256, dynamicChannels: 16 } },
    },
    ...{ steps: 150, size: 128 },
  },
};

mkdirSync(output, { recursive: true });
for (const name of names.length > 0 ? names : Object.keys(TRAININGS)) {
  const file = path.join(output, `${name}.safetensors`);
  if (TRAININGS[name] === undefined) throw new Error(`${name}: is none of ${Object.keys(TRAININGS).join(', ')}`);
  if (!existsSync(file)) trainOne(name, TRAININGS[name], file);
}

function trainOne(name, { model, steps, data = 'photos', size = 192 }, file) {
  const begun = performance.now();
  const config = path.join(output, `${name}.json`);
  const run = path.join(output, `${name}.run`);
  const train = { ...filesOf(data), ...(data === 'photos' && { limit: 8 }) };
  writeFileSync(
    config,
    JSON.stringify({
      model,
      preprocess: { resize: { minSize: size, maxSize: 2 * size } },
      data: { train, flip: 0, workers: 1 },
      train: {
        ...{ iterations: steps, batchSize: 4, clipGradNorm: 10, checkpointEvery: steps },
        optimizer: { type: 'adamw', lr: 0.0007, weightDecay: 0.0001 },
        schedule: { warmupIterations: Math.min(20, steps), steps: [Math.ceil(0.8 * steps)] },
      },
      runtime: { threads: Number(options.threads) },
    }),
  );
  rmSync(run, { recursive: true, force: true });
  goshawk('train', config, '--output', run);
  renameSync(path.join(run, 'final.safetensors'), file);
  rmSync(run, { recursive: true });
  console.error(`train-measured-detectors: ${name}: ${((performance.now() - begun) / 1000).toFixed(0)} s`);
}

/** @param data photos, scenes or figures */
function filesOf(data) {
  const [annotations, images] = options.photos.split(',').map((given) => path.resolve(given));
  if (data === 'photos') return { annotations, images };
  const folder = path.resolve(output, data);
  const shapes = data === 'figures' ? ['--shapes', 'figure'] : [];
  const size = ['--size', '160x160', '--split', 'train=300'];
  if (!existsSync(folder)) goshawk('data', 'synth', '--output', folder, '--seed', '1', ...size, ...shapes);
  return { annotations: path.join(folder, 'train.json'), images: path.join(folder, 'images') };
}

function goshawk(...words) {
  execFileSync(process.execPath, [main, ...words], { stdio: ['ignore', 'ignore', 'inherit'] });
}
