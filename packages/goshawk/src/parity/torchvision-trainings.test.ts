// Whole trainings, from the JPEG to the optimizer: twelve steps on two photos, without mirroring and with nothing drawn, equal
// those of torchvision's detectors step by step (fixtures/torchvision_trainings/make_trainings.py).
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { scope, type TensorData, writePth } from '@goshawk/torch';
import { parseConfig, type RunConfig } from '../config/index.js';
import { torchvisionState } from '../foreign/torchvision/state-names.js';
import { buildModel } from '../models/index.js';
import { withShapesAlone } from '../models/shapes-alone.js';
import { train } from '../train/index.js';
import { movements } from './movements.js';
import { assertAllClose } from './parity-case.js';
import { STARTING_GAINS, torchvisionWeights } from './torchvision-weights.js';

interface TrainingFacts {
  /** What is not in backbone.body, whose names are ours. */
  readonly state: readonly (readonly [name: string, shape: readonly number[]])[];
  /** Those that learn. */
  readonly parameters: readonly string[];
  readonly steps: readonly {
    readonly learning_rate: number;
    readonly losses: readonly (readonly [name: string, value: number])[];
    /** How far each of the parameters is from its start after the step: Euclidean. */
    readonly moved: readonly number[];
  }[];
}

// dist/parity/ -> src/parity/: the fixtures are not compiled.
const fixtures = fileURLToPath(new URL('../../src/parity/fixtures/torchvision_trainings/', import.meta.url));

const rcnn = (proposals: number): string => `
  backbone: { depth: 18 }
  neck: { channels: 64 }
  anchors: { sizes: [[16], [32], [64], [128], [256]] }
  rpn: { preNmsTopN: { train: 100 }, postNmsTopN: { train: ${proposals} }, batchSizePerImage: 1000000 }
  boxHead: { hiddenSize: 128, batchSizePerImage: 1000000 }`;
const RETINA = `
  type: retinanet
  backbone: { depth: 18 }`;

const TRAININGS = {
  mask_rcnn: {
    data: 'instances',
    minSize: 160,
    model: `type: mask_rcnn${rcnn(60)}\n  maskHead: { channels: [64, 64] }`,
    optimizer: 'lr: 0.0025',
  },
  keypoint_rcnn: {
    data: 'person_keypoints',
    minSize: 176,
    model: `type: keypoint_rcnn${rcnn(40)}\n  keypointHead: { channels: [64, 64] }`,
    optimizer: 'lr: 0.0025',
  },
  retinanet: {
    data: 'instances',
    minSize: 160,
    model: `${RETINA}\n  neck: { channels: 64 }`,
    optimizer: 'lr: 0.00125',
  },
  // The head of version 2; torchvision's --norm-weight-decay 0.
  retinanet_v2: {
    data: 'instances',
    minSize: 176,
    model: `${RETINA}\n  neck: { channels: 64, extraLevelsFrom: c5 }\n  head: { channels: 64, norm: group, boxLoss: giou }`,
    optimizer: 'lr: 0.00125, normWeightDecay: 0',
  },
} as const;

const CLASSES = { instances: 15, person_keypoints: 1 } as const;

/** Of RetinaNet, by torchvision's names. */
const RETINA_LOSSES: Readonly<Record<string, string>> = {
  classification: 'loss_classification',
  bbox_regression: 'loss_box_reg',
};

function configOf({ data, model, minSize, optimizer }: (typeof TRAININGS)[keyof typeof TRAININGS]): RunConfig {
  const text = `
model:
  ${model}
preprocess: { resize: { minSize: ${minSize}, maxSize: 256 } }
data:
  train: { annotations: '${fixtures}${data}.json', images: '${fixtures}' }
  flip: 0
  aspectGrouping: false
  workers: 0
train:
  iterations: 12
  batchSize: 2
  optimizer: { type: sgd, ${optimizer}, momentum: 0.9, weightDecay: 0.0001 }
  schedule: { warmupIterations: 5, warmupFactor: 0.001, steps: [10], gamma: 0.1 }
runtime: { threads: 2 }
`;
  return parseConfig(text, { file: 'training' });
}

interface Seen {
  readonly learningRate: number;
  readonly losses: Readonly<Record<string, number>>;
  readonly moved: ReadonlyMap<string, number>;
}

for (const [name, training] of Object.entries(TRAININGS)) {
  describe(`twelve steps of torchvision's ${name}`, () => {
    const facts = JSON.parse(readFileSync(`${fixtures}${name}.json`, 'utf8')) as TrainingFacts;
    const seen: Seen[] = [];
    let folder: string;

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'goshawk-training-'));
      const config = configOf(training);
      const init = join(folder, 'start.pth');
      const weights = startOf(config, facts, CLASSES[training.data]);
      writePth(init, weights);
      const start = torchvisionState(weights);
      await train({
        config,
        output: join(folder, 'run'),
        init,
        save: false,
        observer: {
          onStart: ({ initialised }) => {
            const report = initialised[0]!;
            assert.deepEqual([report.missing, report.unexpected, report.mismatched], [[], [], []]);
          },
          onStep: ({ learningRate, losses }, model) => {
            seen.push({ learningRate, losses, moved: movements(model, start) });
          },
        },
      });
    });
    after(() => rmSync(folder, { recursive: true }));

    test('have the same learning rates', () => {
      for (const [step, { learning_rate: rate }] of facts.steps.entries())
        assertAllClose(`step ${step + 1}`, [seen[step]!.learningRate], [rate], { relative: 1e-12 });
    });

    test('have the same losses', () => {
      for (const [step, { losses }] of facts.steps.entries())
        for (const [loss, value] of losses) {
          const own = seen[step]!.losses[RETINA_LOSSES[loss] ?? loss]!;
          assertAllClose(`step ${step + 1}, ${loss}`, [own], [value], { relative: 1e-5 });
        }
    });

    test('move every parameter as far', () => {
      for (const [step, { moved }] of facts.steps.entries()) {
        const wanted = torchvisionState(new Map(facts.parameters.map((parameter, i) => [parameter, moved[i]!])));
        const own = seen[step]!.moved;
        assert.deepEqual([...own.keys()].toSorted(), [...wanted.keys()].toSorted());
        // What moves a millionth as far as others is made of their roundings.
        const absolute = 1e-6 * Math.max(...moved);
        for (const [parameter, distance] of wanted)
          assertAllClose(`step ${step + 1}, ${parameter}`, [own.get(parameter)!], [distance], {
            relative: 1e-4,
            absolute,
          });
      }
    });
  });
}

/** The weights of the start under torchvision's names. */
function startOf({ model }: RunConfig, { state }: TrainingFacts, classes: number): Map<string, TensorData> {
  return withShapesAlone(() =>
    scope(() => {
      const own = [...buildModel(model, { classes }).stateDict()].filter(([name]) => name.startsWith('backbone.body.'));
      return torchvisionWeights([...own.map(([name, { shape }]) => [name, shape] as const), ...state], STARTING_GAINS);
    }),
  );
}
