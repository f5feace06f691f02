// Our side of compare-detector.ts: answers the same commands as peers/detector.py.
import { createInterface } from 'node:readline';
import { type Adam, AdamW, engineInfo, manualSeed, SGD, scope, setThreads, tensor } from '@goshawk/torch';
import {
  buildModel,
  type Detector,
  imageBatchOf,
  inPrecision,
  loadWeights,
  openDetector,
  type Predictor,
  parseConfig,
  prepareBatch,
  type RunConfig,
  readWeights,
  type Targets,
  totalLoss,
} from 'goshawk';
import type { ComparedModel } from './compare-detector.js';
import { benchScene, type Scene } from './detector-scene.js';

interface Setup {
  readonly model: ComparedModel;
  readonly threads: number;
  readonly size: [number, number];
  readonly images: number;
  readonly mode: 'train' | 'predict';
  readonly precision: 'fp32' | 'bf16';
  /** The peer's. */
  readonly weights: string;
}

type State = { readonly scenes: readonly Scene[] } & (
  | { readonly mode: 'predict'; readonly predictor: Predictor }
  | {
      readonly mode: 'train';
      readonly config: RunConfig;
      readonly model: Detector;
      readonly optimizer: SGD | Adam;
      readonly precision: Setup['precision'];
    }
);

const modelParts: Readonly<Record<ComparedModel, string>> = {
  mask_rcnn: 'type: mask_rcnn',
  retinanet: 'type: retinanet',
  sparse_rcnn:
    'type: sparse_rcnn, backbone: { frozenStages: 0 }, neck: { type: fpn, extraLevel: none, biases: false, upsampling: bilinear }',
  res2net_mask_rcnn: 'type: mask_rcnn, backbone: { widthPerGroup: 26, scale: 4, strideIn1x1: true }',
};

/** Nothing is set that a user of openDetector or of `goshawk train` does not get. */
function setUp(command: Setup): State {
  const { model: compared, threads, precision, weights, mode } = command;
  const [height, width] = command.size;
  const config = parseConfig(
    `model: { ${modelParts[compared]}, classes: 90 }
preprocess: { resize: { minSize: ${Math.min(height, width)}, maxSize: ${Math.max(height, width)} } }
train: { precision: ${precision} }
runtime: { threads: ${threads} }`,
    { file: 'bench' },
  );
  const scenes = Array.from({ length: command.images }, (_, index) => benchScene(height, width, index));
  if (mode === 'predict') return { mode, predictor: openDetector({ config, weights }).predictor, scenes };
  setThreads(threads);
  manualSeed(0);
  const model = buildModel(config.model, { classes: 90 }).to({ memoryFormat: 'channels_last' });
  loadWeights(model, readWeights(weights), weights);
  const learning = [...model.namedParameters()].filter(([, parameter]) => parameter.requiresGrad);
  const optimizer =
    compared === 'sparse_rcnn'
      ? new AdamW(learning, { lr: 1e-6, weightDecay: 1e-4 })
      : new SGD(learning, { lr: 1e-5, momentum: 0.9, weightDecay: 1e-4 });
  return { mode, config, model, optimizer, precision, scenes };
}

/** One training step or one prediction, from decoded pictures on. */
function run(state: State): { seconds: number; processor_seconds: number; objects: number } {
  let objects = 0;
  const begun = performance.now();
  const processor = process.cpuUsage();
  const images = state.scenes.map((scene) => scene.image);
  if (state.mode === 'predict') {
    objects = state.predictor.predict(images)[0]?.length ?? 0;
  } else {
    const { config, model, optimizer, precision, scenes } = state;
    scope(() => {
      const targets = scenes.map(targetsOfScene);
      const batch = imageBatchOf(prepareBatch(images, config.preprocess));
      const total = totalLoss(inPrecision(precision, 'cpu', () => model.loss(batch, targets)));
      total.item();
      optimizer.zeroGrad();
      total.backward();
    });
    optimizer.step();
  }
  const { user, system } = process.cpuUsage(processor);
  return { seconds: (performance.now() - begun) / 1000, processor_seconds: (user + system) / 1e6, objects };
}

function targetsOfScene({ boxes, labels, masks, crops }: Scene): Targets {
  const count = labels.length;
  return {
    boxes: tensor(boxes, { shape: [count, 4] }),
    labels: tensor(labels, { shape: [count] }),
    masks: { pixels: tensor(masks, { shape: [masks.length] }), crops: tensor(crops, { shape: [count, 5] }) },
  };
}

let state: State | undefined;
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as ({ do: 'setup' } & Setup) | { do: 'run' } | { do: 'memory' };
  let answer: object;
  if (command.do === 'setup') {
    state = setUp(command);
    const { version, threads } = engineInfo();
    answer = { version, threads };
  } else if (command.do === 'run') {
    if (!state) throw new Error('run before setup');
    answer = run(state);
  } else {
    const { maxRSS, minorPageFault } = process.resourceUsage();
    answer = { peak_bytes: maxRSS * 1024, page_faults: minorPageFault, resident_bytes: process.memoryUsage.rss() };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
