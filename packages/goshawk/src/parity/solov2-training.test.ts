// A whole training of SOLOv2-Light, from the JPEG to the optimizer: the first steps of twelve on two photos equal those of the network and the
// losses written plainly in PyTorch (fixtures/solov2_training/make_training.py), with pytorch_solov2's warm-up, steps, clipping and
// frozen parts; the rates are compared in all twelve. In float64: from the fourth step on roundings of float32 tip activations over zero, on one side or the other.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type TensorData, writePth } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { solov2State } from '../foreign/solov2/state-names.js';
import { effectiveSchedule } from '../train/effective-schedule.js';
import { train } from '../train/index.js';
import { learningRateFactor } from '../train/lr-schedule.js';
import { movements } from './movements.js';
import { assertAllClose } from './parity-case.js';
import { torchvisionWeights } from './torchvision-weights.js';

interface TrainingFacts {
  readonly state: readonly (readonly [name: string, shape: readonly number[]])[];
  /** Those that learn. */
  readonly parameters: readonly string[];
  readonly steps: readonly {
    readonly learning_rate: number;
  }[];
  /** The same steps in float64. */
  readonly float64: readonly {
    /** Of the masks, of the classes. */
    readonly losses: readonly [number, number];
    /** Of all gradients, before they are clipped. */
    readonly norm: number;
    /** How far each of the parameters is from its start after the step: Euclidean. */
    readonly moved: readonly number[];
  }[];
}

// dist/parity/ -> src/parity/: the fixtures are not compiled.
const fixtures = fileURLToPath(new URL('../../src/parity/fixtures/', import.meta.url));
const photos = `${fixtures}torchvision_trainings/`;

const CONFIG = `
model:
  type: solov2
  backbone: { depth: 18, norm: fixed_statistics }
  neck: { channels: 64 }
  maskFeatures: { channels: 32, outputs: 32 }
  head:
    channels: 64
    convolutions: 2
    scaleRanges: [[1, 56], [28, 112], [56, 224], [112, 448], [224, 896]]
preprocess:
  resize: { rule: mmdet, kernel: opencv, minSize: 160, maxSize: 256 }
  valueScale: 1
  mean: [123.675, 116.28, 103.53]
  std: [58.395, 57.12, 57.375]
data:
  train: { annotations: '${photos}instances.json', images: '${photos}' }
  flip: 0
  aspectGrouping: false
  workers: 0
train:
  epochs: 12
  batchSize: 2
  optimizer: { type: sgd, lr: 0.01, momentum: 0.9, weightDecay: 0.0001 }
  schedule: { warmupIterations: 6, warmupFactor: 0.01, steps: [4, 9], stepUnit: epoch, stepsWaitForWarmup: true }
  clipGradNorm: 4
  precision: fp64
`;

/** Past the warm-up, where the rate has fallen. */
const STEPS = 7;

/** As make_training.py starts. */
const GAINS = [
  [/fpn\.(lateral|fpn)_convs/, 0.5],
  [/solo_(cate|kernel)\.weight/, 0.02],
] as const;
const PRIOR = -4.6;

function startOf({ state }: TrainingFacts): Map<string, TensorData> {
  const weights = torchvisionWeights(state, GAINS);
  const bias = weights.get('bbox_head.solo_cate.bias')!;
  weights.set('bbox_head.solo_cate.bias', {
    ...bias,
    data: new Uint8Array(new Float32Array(bias.shape[0]!).fill(PRIOR).buffer),
  });
  return weights;
}

/** Losses are logged in float32; movements are measured between weights that begin as float32. */
const LIMITS = { loss: { relative: 2e-7 }, norm: { relative: 5e-8 }, moved: { relative: 1e-7 } } as const;

describe(`${STEPS} steps of SOLOv2-Light`, () => {
  const facts = JSON.parse(readFileSync(`${fixtures}solov2_training/training.json`, 'utf8')) as TrainingFacts;
  const expected = facts.float64.slice(0, STEPS);
  const seen: {
    readonly learningRate: number;
    readonly losses: Readonly<Record<string, number>>;
    readonly gradientNorm: number | undefined;
    readonly moved: ReadonlyMap<string, number>;
  }[] = [];
  const config = parseConfig(CONFIG, { file: 'training' });
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-training-'));
    const init = join(folder, 'start.pth');
    const weights = startOf(facts);
    writePth(init, weights);
    const start = solov2State(weights);
    await train({
      config,
      iterations: STEPS,
      output: join(folder, 'run'),
      init,
      save: false,
      observer: {
        onStart: ({ initialised }) => {
          const report = initialised[0]!;
          assert.deepEqual([report.missing, report.unexpected, report.mismatched], [[], [], []]);
        },
        onStep: ({ learningRate, losses, gradientNorm }, model) => {
          seen.push({ learningRate, losses, gradientNorm, moved: movements(model, start) });
        },
      },
    });
  });
  after(() => rmSync(folder, { recursive: true }));

  test('have the same learning rates, as have those behind them', () => {
    assert.equal(seen.length, STEPS);
    const { learningRate, schedule } = effectiveSchedule(config.train, 2);
    for (const [step, { learning_rate: rate }] of facts.steps.entries()) {
      const own = seen[step]?.learningRate ?? learningRate * learningRateFactor(step, schedule);
      assertAllClose(`step ${step + 1}`, [own], [rate], { relative: 1e-12 });
    }
  });

  test('have the same losses', () => {
    for (const [step, { losses }] of expected.entries()) {
      const { loss_mask, loss_classification } = seen[step]!.losses;
      assertAllClose(`step ${step + 1}`, [loss_mask!, loss_classification!], losses, LIMITS.loss);
    }
  });

  test('have the same norm of their gradients, which is above the largest that is allowed', () => {
    for (const [step, { norm }] of expected.entries())
      assertAllClose(`step ${step + 1}`, [seen[step]!.gradientNorm!], [norm], LIMITS.norm);
    assert.ok(expected.some(({ norm }) => norm > 4));
  });

  test('move every parameter as far, and the frozen ones nowhere', () => {
    for (const [step, { moved }] of expected.entries()) {
      const wanted = solov2State(new Map(facts.parameters.map((parameter, i) => [parameter, moved[i]!])));
      const own = seen[step]!.moved;
      assert.deepEqual([...own.keys()].toSorted(), [...wanted.keys()].toSorted());
      for (const [parameter, distance] of wanted)
        assertAllClose(`step ${step + 1}, ${parameter}`, [own.get(parameter)!], [distance], LIMITS.moved);
    }
    assert.ok(![...seen[0]!.moved.keys()].some((name) => /body\.(conv1|bn1|layer1)/.test(name)));
  });
});
