import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, manualSeed, noGrad, ops, randn, scope, type Tensor, tensor } from '@goshawk/torch';
import { ResNet, type ResNetDepth, type ResNetOptions } from './resnet.js';

const tiny = (options: Partial<ResNetOptions> = {}): ResNet =>
  new ResNet({ depth: 18, width: 8, norm: 'frozen_batch', frozenStages: 0, ...options });

const NORM = /(bn\d|downsample\.1)\./;

// Parameters of torchvision 0.29's resnetN without fc: with its batch norms, and its convolutions alone.
const PARAMETERS: readonly (readonly [ResNetDepth, number, number])[] = [
  [18, 11176512, 11166912],
  [34, 21284672, 21267648],
  [50, 23508032, 23454912],
  [101, 42500160, 42394816],
  [152, 58143808, 57992384],
];

describe('ResNet', () => {
  for (const [depth, withNorms, convolutions] of PARAMETERS) {
    test(`of ${depth} layers has torchvision's number of parameters`, () => {
      const parameters = [...new ResNet({ depth, norm: 'batch', frozenStages: 0 }).namedParameters()];
      const count = (of: typeof parameters): number => of.reduce((sum, [, parameter]) => sum + parameter.length, 0);
      assert.equal(count(parameters), withNorms);
      assert.equal(count(parameters.filter(([name]) => !NORM.test(name))), convolutions);
    });
  }

  test('has no parameters in frozen norms, and their state under the names of a batch norm', () => {
    const model = tiny();
    assert.deepEqual(
      [...model.namedParameters()].filter(([name]) => NORM.test(name)),
      [],
    );
    const names = (kind: ResNet): string[] =>
      [...kind.stateDict().keys()].filter((name) => !name.endsWith('num_batches_tracked'));
    assert.deepEqual(names(model), names(tiny({ norm: 'batch' })));
  });

  test('gives four levels of strides 4 to 32', () =>
    scope(() => {
      for (const depth of [18, 50] as const) {
        const model = tiny({ depth });
        const levels = noGrad(() => model.forward(randn([2, 3, 64, 96])));
        assert.deepEqual(
          levels.map((level) => level.shape),
          [16, 8, 4, 2].map((height, i) => [2, model.outChannels[i], height, (height * 96) / 64]),
        );
      }
      assert.deepEqual(tiny().outChannels, [8, 16, 32, 64]);
      assert.deepEqual(tiny({ depth: 50 }).outChannels, [32, 64, 128, 256]);
    }));

  test('rounds the sides of odd pictures up', () =>
    scope(() => {
      const levels = noGrad(() => tiny().forward(randn([1, 3, 65, 33])));
      assert.deepEqual(
        levels.map((level) => level.shape.slice(2)),
        [
          [17, 9],
          [9, 5],
          [5, 3],
          [3, 2],
        ],
      );
    }));

  for (const [frozenStages, learning] of [
    [0, 'conv1 layer1 layer2 layer3 layer4'],
    [1, 'layer1 layer2 layer3 layer4'],
    [2, 'layer2 layer3 layer4'],
    [5, ''],
  ] as const) {
    test(`learns in ${learning || 'nothing'} with ${frozenStages} frozen stages`, () => {
      const names = [...tiny({ frozenStages }).namedParameters()]
        .filter(([, parameter]) => parameter.requiresGrad)
        .map(([name]) => name.split('.')[0]!);
      assert.equal([...new Set(names)].join(' '), learning);
    });
  }

  test('gives no gradient to frozen stages and one to all others', () =>
    scope(() => {
      const model = tiny({ frozenStages: 2 });
      const top = model.forward(randn([1, 3, 64, 64]))[3]!;
      ops.sum(top).backward();
      for (const [name, parameter] of model.namedParameters())
        assert.equal(parameter.grad !== undefined, !/^(conv1|layer1)\./.test(name), name);
    }));

  test('folds frozen norms into the convolutions without changing features or gradients', () =>
    scope(() => {
      manualSeed(3);
      const folded = tiny();
      const plain = tiny({ norm: 'batch' }).eval();
      const state = new Map<string, Tensor>(folded.stateDict());
      for (const [name, value] of state) {
        // Statistics and factors of a trained network: not the 0 and 1 of a fresh one.
        const draw = (low: number, high: number): Tensor =>
          tensor(
            Array.from({ length: value.length }, (_, i) => low + ((high - low) * ((i * 37) % 11)) / 10),
            { shape: value.shape },
          );
        if (name.endsWith('running_var')) state.set(name, draw(0.5, 2));
        else if (name.endsWith('running_mean')) state.set(name, draw(-0.3, 0.3));
        else if (/(bn\d|downsample\.1)\.weight$/.test(name)) state.set(name, draw(0.5, 1.5));
        else if (/(bn\d|downsample\.1)\.bias$/.test(name)) state.set(name, draw(-0.2, 0.2));
      }
      folded.loadStateDict(state);
      plain.loadStateDict(state);
      const pixels = randn([1, 3, 64, 64]);
      const outputs = [folded, plain].map((model) => model.forward(pixels));
      for (const [level, features] of outputs[0]!.entries())
        assertClose(features, outputs[1]![level]!.toNumbers(), { relative: 1e-3, absolute: 1e-3 });
      for (const features of outputs) ops.mean(features[3]!).backward();
      const gradients = new Map(plain.namedParameters());
      for (const [name, parameter] of folded.namedParameters())
        assertClose(parameter.grad!, gradients.get(name)!.grad!.toNumbers(), { relative: 1e-2, absolute: 1e-4 });
      const without = noGrad(() => folded.forward(pixels));
      assertClose(without[3]!, outputs[0]![3]!.toNumbers(), { relative: 1e-4, absolute: 1e-4 });
    }));

  test('takes group norm where asked', () =>
    scope(() => {
      const model = new ResNet({ depth: 18, width: 32, norm: 'group', frozenStages: 0 });
      const levels = noGrad(() => model.forward(randn([1, 3, 64, 64])));
      assert.ok(levels[3]!.toNumbers().every(Number.isFinite));
    }));
});
