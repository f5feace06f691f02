// Configs of any system as models: parameters of each file, and for each distinct architecture one training step and one
// prediction on a photo, with their time and the process's largest memory.
//
//     node bench/dist/models.js FOLDER --image PHOTO [--only TEXT] [--size 320] [--set KEY=VALUE]... [--markdown]
//
// FOLDER holds the configs, in folders or not. --size is the short side of the photo in the network, so that large models
// fit into an afternoon.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { InputError } from '@goshawk/core';
import { manualSeed, scope, tensor } from '@goshawk/torch';
import {
  buildModel,
  CONVENTIONS,
  type Detector,
  decodeImageFile,
  type ImageBatch,
  imageBatchOf,
  openConfig,
  Predictor,
  predictorOptions,
  prepareBatch,
  type RunConfig,
  type Targets,
  totalLoss,
} from 'goshawk';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    image: { type: 'string' },
    only: { type: 'string', default: '' },
    size: { type: 'string', default: '320' },
    set: { type: 'string', multiple: true, default: [] },
    markdown: { type: 'boolean', default: false },
    // One file in a process of its own, so that memory is that model's. The starting process stays small: a child's figure
    // begins with that of its parent.
    count: { type: 'boolean', default: false },
    trial: { type: 'boolean', default: false },
  },
});

/** What --count prints as JSON. */
interface Counts {
  readonly model: string;
  readonly total: number;
  readonly learning: number;
  /** The same for configs of the same network. */
  readonly architecture: string;
}

/** What both print for a file that is no config. */
interface Refused {
  readonly refused: string;
}

/** What --trial prints as JSON. */
interface Trial {
  readonly loss: number;
  readonly stepSeconds: number;
  readonly predictSeconds: number;
  readonly detections: number;
  readonly peakMiB: number;
}

const COCO_CLASSES = 80;
const size = Number(options.size);
const [path] = positionals;
if (path === undefined) throw new Error('name the folder of the configs');
if (options.trial || options.count) {
  try {
    console.log(JSON.stringify(options.trial ? await runTrial(path) : countParameters(path)));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    console.log(JSON.stringify({ refused: error.message }));
  }
} else examineAll(path);

function examineAll(folder: string): void {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(ya?ml|py)$/.test(file) && file.includes(options.only))
    .sort();
  const seen = new Map<string, string>();
  const heads = ['config', 'model', 'parameters', 'learning', 'step', 'prediction', 'memory'];
  if (options.markdown) console.log(`| ${heads.join(' | ')} |\n| ${heads.map(() => '---').join(' | ')} |`);
  for (const file of files) {
    const cells = [basename(file, extname(file)), ...examine(join(folder, file), file, seen)];
    console.log(options.markdown ? `| ${cells.join(' | ')} |` : cells.join('  '));
  }
}

function examine(file: string, name: string, seen: Map<string, string>): string[] {
  const counts = spawn<Counts | Refused>('--count', file);
  if ('refused' in counts) return [counts.refused.replace(file, name), '-', '-', '-', '-', '-'];
  const first = seen.get(counts.architecture);
  const facts = [counts.model, counts.total.toLocaleString('en-US'), counts.learning.toLocaleString('en-US')];
  if (options.image === undefined || first !== undefined) return [...facts, first ? `as ${first}` : '-', '-', '-'];
  seen.set(counts.architecture, basename(name, extname(name)));
  const trial = spawn<Trial>('--trial', file);
  return [
    ...facts,
    `${trial.stepSeconds.toFixed(1)} s (loss ${trial.loss.toPrecision(3)})`,
    `${trial.predictSeconds.toFixed(1)} s (${trial.detections} objects)`,
    `${Math.round(trial.peakMiB)} MiB`,
  ];
}

function spawn<T>(what: '--count' | '--trial', file: string): T {
  const sets = options.set.flatMap((set) => ['--set', set]);
  const image = options.image === undefined ? [] : ['--image', options.image];
  const args = [fileURLToPath(import.meta.url), file, what, ...image, '--size', options.size, ...sets];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file}: the trial ended with ${status}: ${stderr.trim()}`);
  return JSON.parse(stdout) as T;
}

function makeModel(config: RunConfig): Detector {
  manualSeed(0);
  const classes = config.model.type === 'keypoint_rcnn' ? 1 : COCO_CLASSES;
  return buildModel(config.model, { classes });
}

function countParameters(file: string): Counts {
  const { config } = openConfig(file, options.set);
  const { model } = config;
  const parameters = makeModel(config).parameters();
  const sum = (of: typeof parameters): number => of.reduce((all, { length }) => all + length, 0);
  const [total, learning] = [sum(parameters), sum(parameters.filter((parameter) => parameter.requiresGrad))];
  // Schedules, thresholds and sizes apart, the model is its parts.
  const head = 'boxHead' in model && model.boxHead.kind;
  return {
    model: model.type,
    total,
    learning,
    architecture: JSON.stringify([total, model.type, model.backbone, head]),
  };
}

async function runTrial(file: string): Promise<Trial> {
  const opened = openConfig(file, options.set).config;
  const resize = { ...opened.preprocess.resize, minSize: size, maxSize: size * 2 };
  const config = { ...opened, preprocess: { ...opened.preprocess, resize } };
  const model = makeModel(config).to({ memoryFormat: 'channels_last' });
  const image = await decodeImageFile(options.image!);
  const prepared = prepareBatch([image], config.preprocess);
  model.train();
  const stepped = performance.now();
  const loss = scope(() => {
    const batch = imageBatchOf(prepared);
    const total = totalLoss(model.loss(batch, [twoObjects(batch, config)]));
    total.backward();
    return total.item();
  });
  const stepSeconds = (performance.now() - stepped) / 1000;
  const classes = config.model.type === 'keypoint_rcnn' ? 1 : COCO_CLASSES;
  const categories = Array.from({ length: classes }, (_, i) => ({ id: i + 1, name: `class ${i + 1}` }));
  const predictor = new Predictor({ model, categories, ...predictorOptions(config) });
  const asked = performance.now();
  const [found = []] = predictor.predict([image]);
  return {
    loss,
    stepSeconds,
    predictSeconds: (performance.now() - asked) / 1000,
    detections: found.length,
    peakMiB: process.resourceUsage().maxRSS / 1024,
  };
}

/** Two objects that cover a third of the photo each, with everything that any head learns. */
function twoObjects({ sizes: [[height, width] = [0, 0]] }: ImageBatch, { model }: RunConfig): Targets {
  const corners = [0.05, 0.55].map((left) => [left * width, 0.2 * height, (left + 0.4) * width, 0.9 * height]);
  const whole = corners.map((box) => box.map(Math.round));
  const drawsPolygons = model.type === 'mask_rcnn' && CONVENTIONS[model.conventions].maskTargets.endsWith('polygons');
  const rectangle = ([x1 = 0, y1 = 0, x2 = 0, y2 = 0]: readonly number[]) =>
    Float64Array.of(x1, y1, x2, y1, x2, y2, x1, y2);
  const areas = whole.map(([x1 = 0, y1 = 0, x2 = 0, y2 = 0]) => (x2 - x1) * (y2 - y1));
  return {
    boxes: tensor(corners.flat(), { shape: [2, 4] }),
    labels: tensor(BigInt64Array.of(1n, model.type === 'keypoint_rcnn' ? 1n : 2n)),
    ...(drawsPolygons
      ? { polygons: corners.map((box) => [rectangle(box)]) }
      : {
          masks: {
            pixels: tensor(new Uint8Array(areas.reduce((sum, area) => sum + area, 0)).fill(1)),
            crops: tensor(
              BigInt64Array.from(
                whole.flatMap(([x1 = 0, y1 = 0, x2 = 0, y2 = 0], i) => [i * (areas[0] ?? 0), x1, y1, x2 - x1, y2 - y1]),
                BigInt,
              ),
              { shape: [2, 5] },
            ),
          },
        }),
    keypoints: tensor(
      corners
        .flatMap(([x1 = 0, y1 = 0, x2 = 0, y2 = 0]) =>
          Array.from({ length: 17 }, (_, i) => [
            x1 + ((i + 1) / 18) * (x2 - x1),
            y1 + (((i * 7) % 18) / 18) * (y2 - y1),
            2,
          ]),
        )
        .flat(),
      { shape: [2, 17, 3] },
    ),
  };
}
