// Steps in tensors of fixed size against those of exact sizes: the same losses and gradients, and no operator that makes the
// host wait for a card.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { assertClose, operatorsThatWait, recordOperators, scope, setThreads, type Tensor } from '@goshawk/torch';
import { batchOf, build, KINDS, RULES } from '../../testing/rcnn-kinds.js';
import { SQUARES, type Square, squareTargets } from '../../testing/tiny-targets.js';
import { withFrames } from '../padded.js';
import { type Rcnn, totalLoss } from './rcnn.js';

before(() => setThreads(1));

interface Step {
  readonly losses: Readonly<Record<string, Tensor>>;
  readonly gradients: ReadonlyMap<string, Tensor>;
  readonly operators: ReadonlyMap<string, number>;
}

function stepOf(model: Rcnn, objects: readonly (readonly Square[])[]): Step {
  model.zeroGrad();
  const batch = withFrames(batchOf(objects));
  const targets = objects.map((boxes) => squareTargets(boxes));
  let losses: Readonly<Record<string, Tensor>> = {};
  const operators = recordOperators(() => {
    losses = model.loss(batch, targets);
    totalLoss(losses).backward();
  });
  const gradients = new Map<string, Tensor>();
  for (const [name, parameter] of model.namedParameters())
    if (parameter.requiresGrad) gradients.set(name, parameter.grad!);
  return { losses, gradients, operators };
}

/** Every loss within 1e-6; every gradient within 1e-5 of its tensor's largest, as the order of sums moves it. */
function assertSameStep(got: Step, expected: Step): void {
  const named = (name: string, body: () => void): void => {
    try {
      body();
    } catch (error) {
      if (error instanceof Error) error.message = `${name}: ${error.message}`;
      throw error;
    }
  };
  assert.deepEqual(Object.keys(got.losses), Object.keys(expected.losses));
  for (const [name, loss] of Object.entries(expected.losses))
    named(name, () => assertClose([got.losses[name]!.item()], [loss.item()], { absolute: 1e-6, relative: 2e-6 }));
  for (const [name, gradient] of expected.gradients) {
    const largest = gradient.toNumbers().reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    named(name, () =>
      assertClose(got.gradients.get(name)!, gradient, { absolute: 1e-7 + 1e-5 * largest, relative: 0 }),
    );
  }
}

/** What makes the host wait once, by the rules and the kind that ask for it; nothing else does. */
function expectedWaits(kind: string, rules: (typeof RULES)[number]): Record<string, number> {
  const isMask = kind.includes('maskHead');
  return {
    // Detectron's masks are drawn from polygons, by the host.
    ...(isMask && rules === 'detectron' && { 'goshawk::to_host': 1, 'goshawk::from_host': 1 }),
    // A batch norm's statistics are those of real rows alone, of the box head's and of the mask head's.
    ...(kind.includes('norm: batch') && { 'aten::nonzero': 2 }),
  };
}

const MIXED = [SQUARES, SQUARES.slice(1), []];

describe('a step of fixed sizes has the losses and gradients of one of exact sizes, and waits for nothing', () => {
  for (const [what, kind] of Object.entries(KINDS)) {
    for (const rules of RULES) {
      test(`${what}, by ${rules}'s rules`, () => {
        scope(() => {
          const [exact, fixed] = (['exact', 'fixed'] as const).map((sizing) => build(kind, rules, { sizing }));
          // The first step of a shape brings the anchors of a cell to the device.
          stepOf(fixed!, MIXED);
          const step = stepOf(fixed!, MIXED);
          assert.ok(step.operators.has('goshawk::match_batch'));
          assertSameStep(step, stepOf(exact!, MIXED));
          assert.deepEqual(Object.fromEntries(operatorsThatWait(step.operators)), expectedWaits(kind, rules));
        });
      });
    }
  }
});

describe('so has one of few or no objects', () => {
  for (const what of [
    'Keypoint R-CNN with masks',
    'Mask R-CNN on stage 4, stage 5 shared',
    'Faster R-CNN of stored proposals',
  ]) {
    for (const rules of RULES) {
      test(`${what}, by ${rules}'s rules`, () => {
        const [exact, fixed] = (['exact', 'fixed'] as const).map((sizing) => build(KINDS[what]!, rules, { sizing }));
        for (const objects of [[SQUARES.slice(0, 1)], [[], []]])
          scope(() => assertSameStep(stepOf(fixed!, objects), stepOf(exact!, objects)));
      });
    }
  }
});
