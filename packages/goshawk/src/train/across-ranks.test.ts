// Two processes with half of the batch each against one with all of it.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { tensor } from '@goshawk/torch';
import { bestAcrossProcesses } from '../models/across-processes.js';
import { type Pair, startPair } from '../testing/group-jobs.js';
import { KINDS, RULES } from '../testing/rcnn-kinds.js';
import { learnedState, type Trained, type Training, trainOn } from '../testing/split-training.js';

const STEPS = 10;
/** Where a step takes long: enough to go by momentum, by changed statistics and by the draws of several turns. */
const FEW_STEPS = 5;

let pair: Pair;
before(async () => {
  pair = await startPair(new URL('./fixtures/across-ranks-jobs.js', import.meta.url));
});
after(() => pair.end());

interface Tolerance {
  /** Relative to the loss. */
  readonly losses: number;
  /** Relative to the tensor's own largest element. */
  readonly tensors: number;
}

/** Of what is computed in float64 and compared as float32: one rounding to it. */
const IN_DOUBLES: Tolerance = { losses: 2e-7, tensors: 2e-7 };

/** Runs the trainings whole here and in halves there. */
async function inBoth(trainings: readonly Training[]): Promise<{ whole: Trained[]; halves: Trained[][] }> {
  const halves = pair.run<Trained[]>('train', trainings);
  // The others compute meanwhile.
  const whole = trainings.map((training) => trainOn(training));
  return { whole, halves: await halves };
}

const RETINANET = (norm: string, rules = 'torchvision'): string => `model:
  type: retinanet
  conventions: ${rules}
  backbone: { depth: 18, width: ${norm === 'group' ? 32 : 8}, frozenStages: 0, norm: ${norm} }
  neck: { channels: 16 }
  head: { convolutions: 1, norm: ${norm === 'sync_batch' ? 'sync_batch_per_level' : 'none'}, boxLoss: smooth_l1, smoothL1Beta: 1 }
`;

const MASK_RCNN = (norm: string): string => `model:
  type: mask_rcnn
  conventions: torchvision
  backbone: { depth: 18, width: ${norm === 'group' ? 32 : 8}, frozenStages: 0, norm: ${norm} }
  neck: { channels: 16 }
  anchors: { sizes: [[12], [24], [48], [96], [192]] }
  rpn: { preNmsTopN: { train: 50, test: 50 }, postNmsTopN: { train: 30, test: 20 }, batchSizePerImage: 32 }
  boxHead: { hiddenSize: 32, batchSizePerImage: 32 }
  maskHead: { channels: [16] }
`;

const SOLO = (type: 'solov2' | 'decoupled_solo'): string => `model:
  type: ${type}
  backbone: { depth: 18, width: 8, frozenStages: 0, norm: sync_batch }
  neck: { channels: 32 }
  ${type === 'solov2' ? 'maskFeatures: { channels: 32, outputs: 32 }' : ''}
  head: { channels: 32, convolutions: 1, grids: [12, 10, 8, 6, 4], scaleRanges: [[1, 26], [20, 40], [30, 60], [50, 90], [80, 200]] }
`;

// Rounding grows from step to step where ranks of proposals and signs of small numbers hang on it: one process that is given its
// pictures in another order moves away from itself, in untrained small models by 1e-2 within twenty steps. A model that has learned a
// little, at a small rate, does not, and what stays is the difference between one process and two.
describe(`${STEPS} steps of two processes are those of one`, { timeout: 600_000 }, () => {
  for (const [what, config, learnedSteps, learningRate] of [
    ['Mask R-CNN', MASK_RCNN, 60, 3e-5],
    ['RetinaNet', RETINANET, 30, 1e-5],
  ] as const)
    test(`${what} with frozen and synchronised batch norms, in float32`, async () => {
      const norms = ['frozen_batch', 'sync_batch'];
      const trainings = norms.map((norm): Training => {
        const begun = { model: config(norm), sizing: 'exact' } as const;
        return { ...begun, seed: 1, start: learnedState(begun, learnedSteps), steps: STEPS, learningRate };
      });
      const { whole, halves } = await inBoth(trainings);
      for (const [i, norm] of norms.entries())
        for (const [rank, own] of halves.entries())
          assertSame(own[i]!, whole[i]!, { losses: 1e-5, tensors: 1e-5 }, `${norm}, rank ${rank}`);
    });
});

// float32's rounding is carried on by a training: it decides which of two nearly equal boxes is kept and on which side of 0 an activation
// lies, and from there two runs go apart. In float64 that all but never happens, while any other difference would stay as large. Small
// groups of a group norm, of which some have hardly any variance, magnify float32's rounding to 1e-5 even at small rates.
test('twenty steps from the start, and five of group norms, at a full rate and with the draws of a training, are those of one process in float64', async () => {
  const models = {
    'Mask R-CNN with frozen batch norms': MASK_RCNN('frozen_batch'),
    'Mask R-CNN with group norms': MASK_RCNN('group'),
    'RetinaNet with group norms': RETINANET('group'),
  };
  const trainings = Object.entries(models).map(
    ([what, model]): Training => ({
      model,
      ...{ sizing: 'exact', dtype: 'float64', seed: 1, learningRate: 0.01 },
      // As wide as a model with group norms has to be, one takes four times as long.
      steps: what.includes('group') ? FEW_STEPS : 20,
    }),
  );
  const { whole, halves } = await inBoth(trainings);
  for (const [i, what] of Object.keys(models).entries())
    for (const [rank, own] of halves.entries()) assertSame(own[i]!, whole[i]!, IN_DOUBLES, `${what}, rank ${rank}`);
});

// Their heads have group norms whose groups are of one channel.
test('five steps of SOLOv2 and of decoupled SOLO, some of whose pictures have no objects, are those of one process', async () => {
  const trainings = (['solov2', 'decoupled_solo'] as const).map(
    (type): Training => ({
      model: SOLO(type),
      ...{ sizing: 'exact', dtype: 'float64', steps: FEW_STEPS, learningRate: 0.01 },
    }),
  );
  const { whole, halves } = await inBoth(trainings);
  for (const [i, { model }] of trainings.entries())
    for (const [rank, own] of halves.entries())
      assertSame(own[i]!, whole[i]!, IN_DOUBLES, `${/type: (\w+)/.exec(model)![1]}, rank ${rank}`);
});

test('the best of a batch are the same of two halves as of the whole, also among equal scores', async () => {
  const cases = [
    { scores: [0.5, 1, 1, 0.25, 1, 1, 0.5, 1], limit: 4 },
    { scores: [1, 1, 1, 1, 1, 1, 1, 1], limit: 6 },
    { scores: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], limit: 3 },
    { scores: [0, 0, 0, 0, 0, 0, 0, 1], limit: 3 },
    { scores: [0.5, 0.5, 0.1, 0.2, 0.5, 0.5, 0.5, 0.1], limit: 8 },
  ];
  const halves = await pair.run<number[][]>('best', cases);
  for (const [i, { scores, limit }] of cases.entries()) {
    const order = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, limit);
    const expected = [...scores.keys()].map((place) => Number(order.includes(place)));
    assert.deepEqual(
      halves.flatMap((own) => own[i]!.map(Number)),
      expected,
    );
    assert.deepEqual(bestAcrossProcesses(tensor(scores), limit).toNumbers().map(Number), expected);
  }
});

describe('a step of two processes has the losses and gradients of one', { timeout: 600_000 }, () => {
  const ofModel = (kind: string, rules: string): string =>
    `model:\n  conventions: ${rules}\n  ${kind.replaceAll('norm: batch', 'norm: sync_batch')}\n`;
  const kinds = Object.entries(KINDS);

  // Two of the rules each, in turns: what rules and kinds come to together is tested in one process.
  test('for every kind of two-stage model, by the rules of one system in fixed sizes and of another in exact sizes', async () => {
    const cases = kinds.flatMap(([what, kind], i) =>
      (['fixed', 'exact'] as const).map((sizing, nth) => {
        const rules = RULES[(i + nth * 2) % RULES.length]!;
        return {
          what: `${what} by ${rules}'s rules, ${sizing}`,
          training: {
            model: ofModel(kind, rules),
            sizing,
            // Of a group without variance, as there are some, float32's rounding is magnified 300 times a layer.
            dtype: what.includes('with group norms') ? ('float64' as const) : ('float32' as const),
            steps: 1,
            learningRate: 0.01,
          },
        };
      }),
    );
    const { whole, halves } = await inBoth(cases.map(({ training }) => training));
    for (const [i, { what }] of cases.entries()) assertSameStep(halves[0]![i]!, whole[i]!, what);
  });

  test('where one of them has no object, whose norms go by what the other has', async () => {
    const kind = KINDS['Mask R-CNN with batch norms in its heads']!;
    const trainings = (['exact', 'fixed'] as const).map(
      (sizing): Training => ({
        model: ofModel(kind, 'torchvision'),
        ...{ sizing, steps: 1, learningRate: 0.01 },
        // Nothing is in the third.
        order: [0, 3, 2, 2],
      }),
    );
    const { whole, halves } = await inBoth(trainings);
    for (const [rank, own] of halves.entries())
      for (const [i, { sizing }] of trainings.entries()) {
        const what = `${sizing}, rank ${rank}`;
        assertSameStep(own[i]!, whole[i]!, what);
        for (const [name, values] of whole[i]!.state)
          assertNear(own[i]!.state.get(name)!, values, 1e-5, `${what}: ${name}`, 0.1);
      }
  });

  test('for RetinaNet by every rules, in exact and in fixed sizes', async () => {
    const cases = ['torchvision', 'mmdetection', 'maskrcnn_benchmark'].flatMap((rules) =>
      (['exact', 'fixed'] as const).map((sizing) => ({
        what: `${rules}, ${sizing}`,
        training: { model: RETINANET('frozen_batch', rules), sizing, steps: 1, learningRate: 0.01 },
      })),
    );
    const { whole, halves } = await inBoth(cases.map(({ training }) => training));
    for (const [i, { what }] of cases.entries()) assertSameStep(halves[0]![i]!, whole[i]!, what);
  });
});

/** Losses within 1e-5, gradients within 1e-5 of their tensor's largest: what the order of sums moves. */
function assertSameStep(got: Trained, expected: Trained, what: string): void {
  assertLosses(got, expected, 1e-5, what);
  assert.deepEqual([...got.gradients.keys()], [...expected.gradients.keys()], what);
  for (const [name, values] of expected.gradients)
    assertNear(got.gradients.get(name)!, values, 1e-5, `${what}: gradient of ${name}`, 0.1);
}

function assertSame(got: Trained, expected: Trained, tolerance: Tolerance, what: string): void {
  assertLosses(got, expected, tolerance.losses, what);
  for (const [name, values] of expected.state)
    assertNear(got.state.get(name)!, values, tolerance.tensors, `${what}: ${name}`, SMALLEST);
  // It learned something: what is compared is not what it began with.
  assert.ok(expected.moved > 100 * tolerance.tensors, `${what}: moved by ${expected.moved}`);
}

function assertLosses(got: Trained, expected: Trained, tolerance: number, what: string): void {
  assert.equal(got.losses.length, expected.losses.length, what);
  for (const [step, losses] of expected.losses.entries())
    for (const [name, loss] of Object.entries(losses)) {
      const own = got.losses[step]![name]!;
      const isNear = Math.abs(own - loss) <= tolerance * Math.abs(loss);
      assert.ok(isNear, `${what}: ${name} of step ${step} is ${own}, expected ${loss}`);
    }
}

/** Of a bias before a norm, which has no effect, there is rounding alone: a step of this size moves no output. */
const SMALLEST = 1e-7;

/** @param least what is compared with where the largest is less */
function assertNear(got: Float32Array, expected: Float32Array, tolerance: number, what: string, least: number): void {
  assert.equal(got.length, expected.length, what);
  let largest = 0;
  let distance = 0;
  for (const [i, value] of expected.entries()) {
    largest = Math.max(largest, Math.abs(value));
    distance = Math.max(distance, Math.abs(got[i]! - value));
  }
  assert.ok(distance <= tolerance * Math.max(largest, least), `${what}: off by ${distance}, its largest is ${largest}`);
}
