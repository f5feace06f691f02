// Whole trainings, from the JPEG to the optimizer: up to six steps on two photos, without mirroring and with nothing drawn, equal those
// of torchvision's detectors step by step (fixtures/torchvision_trainings/make_trainings.py). In float64, where the order of sums
// does not show: in float32 an activation on the other side of zero may part two runs after some steps. The first steps are
// compared in float32 too.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ops, scope, type Tensor, type TensorData, writePth } from '@goshawk/torch';
import { parseConfig, type RunConfig } from '../config/index.js';
import { torchvisionState } from '../foreign/torchvision/state-names.js';
import { buildModel } from '../models/index.js';
import { withShapesAlone } from '../models/shapes-alone.js';
import { train } from '../train/index.js';
import { asTensors, movements } from './movements.js';
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
  anchors: { sizes: [[8], [16], [32], [64], [128]] }
  rpn: { preNmsTopN: { train: 100 }, postNmsTopN: { train: ${proposals} }, batchSizePerImage: 1000000 }
  boxHead: { hiddenSize: 128, batchSizePerImage: 1000000 }`;
const RETINA = `
  type: retinanet
  backbone: { depth: 18 }`;

/**
 * Steps in float64, and as many as nothing has grown in yet in float32. Six go past the warm-up and the fall of the rate, once with each
 * kind of detector; two show a loss, its gradients and the momentum.
 */
const TRAININGS = {
  mask_rcnn: {
    data: 'instances',
    model: `type: mask_rcnn${rcnn(60)}\n  maskHead: { channels: [64, 64] }`,
    optimizer: 'lr: 0.0025',
    steps: { fp64: 6, fp32: 3 },
  },
  keypoint_rcnn: {
    data: 'person_keypoints',
    model: `type: keypoint_rcnn${rcnn(40)}\n  keypointHead: { channels: [64, 64] }`,
    optimizer: 'lr: 0.0025',
    steps: { fp64: 2, fp32: 1 },
  },
  retinanet: {
    data: 'instances',
    model: `${RETINA}\n  neck: { channels: 64 }`,
    optimizer: 'lr: 0.00125',
    steps: { fp64: 2, fp32: 1 },
  },
  // The head of version 2; torchvision's --norm-weight-decay 0.
  retinanet_v2: {
    data: 'instances',
    model: `${RETINA}\n  neck: { channels: 64, extraLevelsFrom: c5 }\n  head: { channels: 64, norm: group, boxLoss: giou }`,
    optimizer: 'lr: 0.00125, normWeightDecay: 0',
    steps: { fp64: 6, fp32: 3 },
  },
} as const;

const CLASSES = { instances: 15, person_keypoints: 1 } as const;

/** Of RetinaNet, by torchvision's names. */
const RETINA_LOSSES: Readonly<Record<string, string>> = {
  classification: 'loss_classification',
  bbox_regression: 'loss_box_reg',
};

type Precision = 'fp64' | 'fp32';

// The photos keep their size, and float32 holds their pixels exactly.
function configOf(
  { data, model, optimizer, steps }: (typeof TRAININGS)[keyof typeof TRAININGS],
  precision: Precision,
): RunConfig {
  const text = `
model:
  ${model}
preprocess: { resize: { minSize: 128, maxSize: 160 }, valueScale: 1, mean: [128, 128, 128], std: [64, 64, 64] }
data:
  train: { annotations: '${fixtures}small_${data}.json', images: '${fixtures}' }
  flip: 0
  aspectGrouping: false
  workers: 0
train:
  iterations: ${steps[precision]}
  batchSize: 2
  optimizer: { type: sgd, ${optimizer}, momentum: 0.9, weightDecay: 0.0001 }
  schedule: { warmupIterations: 3, warmupFactor: 0.001, steps: [5], gamma: 0.1 }
  precision: ${precision}
runtime: { threads: 2 }
`;
  return parseConfig(text, { file: 'training' });
}

/**
 * In float64 what is left does not grow from step to step: losses are logged in float32, and proposals and the targets of boxes and
 * masks are made in it (losses differ by 1.4e-7 at most, movements by 2.6e-7). In float32 losses differ by 3.3e-7 at most, a few
 * roundings, and movements hardly beyond those of the weights themselves.
 */
const LIMITS = {
  fp64: { loss: { relative: 5e-7 }, moved: { relative: 1e-6 } },
  fp32: { loss: { relative: 2e-6 }, moved: { relative: 1e-5 } },
} as const;

interface Seen {
  readonly learningRate: number;
  readonly losses: Readonly<Record<string, number>>;
  readonly moved: ReadonlyMap<string, number>;
}

for (const [name, training] of Object.entries(TRAININGS)) {
  describe(`${training.steps.fp64} steps of torchvision's ${name}`, () => {
    const facts = JSON.parse(readFileSync(`${fixtures}${name}.json`, 'utf8')) as TrainingFacts;
    const seen: Record<Precision, Seen[]> = { fp64: [], fp32: [] };
    let folder: string;
    let start: ReadonlyMap<string, Tensor>;

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'goshawk-training-'));
      const init = join(folder, 'start.pth');
      const weights = startOf(configOf(training, 'fp64'), facts, CLASSES[training.data]);
      writePth(init, weights);
      start = asTensors(new Map([...torchvisionState(weights)].filter(([, { dtype }]) => dtype === 'float32')));
      for (const precision of ['fp64', 'fp32'] as const)
        await train({
          config: configOf(training, precision),
          output: join(folder, precision),
          init,
          save: false,
          observer: {
            onStart: ({ initialised }) => {
              const report = initialised[0]!;
              assert.deepEqual([report.missing, report.unexpected, report.mismatched], [[], [], []]);
            },
            onStep: ({ learningRate, losses }, model) => {
              seen[precision].push({ learningRate, losses, moved: movements(model, start) });
            },
          },
        });
    });
    after(() => rmSync(folder, { recursive: true }));

    test('have the same learning rates', () => {
      for (const [step, { learningRate }] of seen.fp64.entries())
        assertAllClose(`step ${step + 1}`, [learningRate], [facts.steps[step]!.learning_rate], { relative: 1e-12 });
    });

    for (const precision of ['fp64', 'fp32'] as const) {
      const limits = LIMITS[precision];

      test(`have the same losses: ${precision}`, () => {
        assert.equal(seen[precision].length, training.steps[precision]);
        for (const [step, { losses }] of seen[precision].entries())
          for (const [loss, value] of facts.steps[step]!.losses)
            assertAllClose(`step ${step + 1}, ${loss}`, [losses[RETINA_LOSSES[loss] ?? loss]!], [value], limits.loss);
      });

      test(`move every parameter as far: ${precision}`, () => {
        for (const [step, { moved }] of seen[precision].entries()) {
          const distances = facts.steps[step]!.moved;
          const wanted = torchvisionState(new Map(facts.parameters.map((parameter, i) => [parameter, distances[i]!])));
          assert.deepEqual([...moved.keys()].toSorted(), [...wanted.keys()].toSorted());
          for (const [parameter, distance] of wanted) {
            // Each step leaves a float32 weight up to half a unit of its last place from where it belongs.
            const absolute = precision === 'fp32' ? (step + 1) * 2 ** -24 * normOfValues(start.get(parameter)!) : 0;
            assertAllClose(`step ${step + 1}, ${parameter}`, [moved.get(parameter)!], [distance], {
              ...limits.moved,
              absolute,
            });
          }
        }
      });
    }
  });
}

function normOfValues(value: Tensor): number {
  return scope(() => ops.linalg_vector_norm(value, { dtype: 'float64' }).item());
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
