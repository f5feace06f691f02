import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BatchNorm2d, Conv2d, GroupNorm, Linear, Module, ops, scope, tensor } from '@goshawk/torch';
import { trainSchema } from '../config/train-schema.js';
import { buildOptimizer, correctMomentum } from './optimizer.js';
import { learningParameters } from './parameter-groups.js';

class Block extends Module {
  readonly conv1 = new Conv2d(2, 4, 1);
  readonly gn = new GroupNorm(2, 4);
  // A norm that its name does not give away, as in mmdetection's shortcuts.
  readonly downsample = [new Conv2d(4, 4, 1, { bias: false }), new BatchNorm2d(4)];
  readonly classify = new Linear(4, 3);
}

function block(): Block {
  const made = new Block();
  made.conv1.weight.requiresGrad = false;
  return made;
}

const optimizerOf = (optimizer: object, model: Module = block()) =>
  buildOptimizer(model, trainSchema.parse({ optimizer }).optimizer);

const groupsOf = (optimizer: object) =>
  optimizerOf(optimizer).groups.map(({ entries, lr, weightDecay }) => ({
    names: entries.map(({ name }) => name),
    lr,
    weightDecay,
  }));

const weights = ['downsample.0.weight', 'classify.weight'];
const biases = ['conv1.bias', 'classify.bias'];
const norms = ['gn.weight', 'gn.bias', 'downsample.1.weight', 'downsample.1.bias'];

test('kinds follow from the layers: a norm keeps its bias, whatever the layer is called; frozen parameters have none', () => {
  const kinds = learningParameters(block());
  const names = Object.fromEntries(Array.from(kinds, ([kind, list]) => [kind, list.map(([name]) => name)]));
  assert.deepEqual(names, { weight: weights, bias: biases, norm: norms });
});

describe('the optimizer', () => {
  test('has one group where no rule tells kinds apart', () => {
    const groups = groupsOf({ lr: 0.1, weightDecay: 0.01, biasWeightDecay: 0.01 });
    assert.equal(groups.length, 1);
    assert.deepEqual(groups[0]!.names.toSorted(), [...weights, ...biases, ...norms].toSorted());
    assert.deepEqual([groups[0]!.lr, groups[0]!.weightDecay], [0.1, 0.01]);
  });

  for (const type of ['sgd', 'adam', 'adamw'])
    test(`${type}: Detectron's rule: biases learn twice as fast and do not decay, norms decay by their own`, () => {
      const rules = { biasLrFactor: 2, biasWeightDecay: 0, normWeightDecay: 0.003 };
      const groups = groupsOf({ type, lr: 0.1, weightDecay: 0.01, ...rules });
      assert.deepEqual(
        groups.toSorted((a, b) => b.weightDecay - a.weightDecay),
        [
          { names: weights, lr: 0.1, weightDecay: 0.01 },
          { names: norms, lr: 0.1, weightDecay: 0.003 },
          { names: biases, lr: 0.2, weightDecay: 0 },
        ],
      );
    });

  test('keeps the factor when the rate changes', () => {
    const optimizer = optimizerOf({ lr: 0.1, biasLrFactor: 2 });
    optimizer.setLearningRate(0.01);
    assert.deepEqual(new Set(optimizer.groups.map(({ lr }) => lr)), new Set([0.01, 0.02]));
  });
});

describe('momentum correction', () => {
  /** The velocity after a step along a gradient of 1 and a change of the rate. */
  function velocityAfter(from: number, to: number): number {
    return scope(() => {
      const model = new Linear(1, 1, { bias: false });
      const optimizer = optimizerOf({ lr: 1, weightDecay: 0 }, model);
      model.weight.grad = tensor([1], { shape: [1, 1] });
      optimizer.step();
      correctMomentum(optimizer, { from, to });
      const velocity = optimizer.stateDict().tensors.get('weight.momentum_buffer')!;
      return ops.add(velocity, 0).item();
    });
  }

  test('scales the velocity by new / old where they differ by more than a tenth, up or down', () => {
    assert.equal(velocityAfter(1, 0.5), 0.5);
    assert.equal(velocityAfter(0.5, 1), 2);
    assert.equal(velocityAfter(1, 1.05), 1);
    assert.equal(velocityAfter(1, 0.95), 1);
  });

  test('does nothing where the old rate was next to nothing', () => assert.equal(velocityAfter(1e-8, 1), 1));
});
