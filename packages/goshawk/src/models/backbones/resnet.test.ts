import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  assertClose,
  FrozenBatchNorm2d,
  full,
  manualSeed,
  noGrad,
  ops,
  randn,
  scope,
  setExactConvolutions,
  type Tensor,
  tensor,
} from '@goshawk/torch';
import { withShapesAlone } from '../shapes-alone.js';
import { Bottle2neck } from './res2net-block.js';
import { ResNet, type ResNetDepth, type ResNetOptions, resNetStage, stageChannels } from './resnet.js';

const tiny = (options: Partial<ResNetOptions> = {}): ResNet =>
  new ResNet({ depth: 18, width: 8, norm: 'frozen_batch', frozenStages: 0, ...options });

const channelsOf = ({ levels }: ResNet): number[] => levels.map(({ channels }) => channels);

const NORM = /(bn\d|downsample\.1)\./;

// Parameters of torchvision 0.29's resnetN without fc: with its batch norms, and its convolutions alone.
const PARAMETERS: readonly (readonly [ResNetDepth, number, number])[] = [
  [18, 11176512, 11166912],
  [34, 21284672, 21267648],
  [50, 23508032, 23454912],
  [101, 42500160, 42394816],
  [152, 58143808, 57992384],
];

const RESNEXT_PARAMETERS: readonly (readonly [ResNetDepth, number, number, number, number])[] = [
  [50, 32, 4, 22979904, 22911680],
  [101, 32, 8, 86742336, 86539456],
  [101, 64, 4, 81406272, 81203392],
];

function assertParameters(options: ResNetOptions, withNorms: number, convolutions: number): void {
  withShapesAlone(() =>
    scope(() => {
      const parameters = [...new ResNet(options).namedParameters()];
      const count = (of: typeof parameters): number => of.reduce((sum, [, parameter]) => sum + parameter.length, 0);
      assert.equal(count(parameters), withNorms);
      assert.equal(count(parameters.filter(([name]) => !NORM.test(name))), convolutions);
    }),
  );
}

/** Within a part of the largest value: a sum's rounding goes with what it is made of. */
function assertNear(values: Tensor, wanted: Tensor, part: number): void {
  assertClose(values, wanted, { absolute: part * (wanted.abs().max().item() as number) });
}

describe('ResNet', () => {
  for (const [depth, withNorms, convolutions] of PARAMETERS) {
    test(`of ${depth} layers has torchvision's number of parameters`, () => {
      assertParameters({ depth, norm: 'batch', frozenStages: 0 }, withNorms, convolutions);
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
          [16, 8, 4, 2].map((height, i) => [2, model.levels[i]!.channels, height, (height * 96) / 64]),
        );
      }
      assert.deepEqual(channelsOf(tiny()), [8, 16, 32, 64]);
      assert.deepEqual(channelsOf(tiny({ depth: 50 })), [32, 64, 128, 256]);
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

  test('folds norms that do not change into the convolutions without changing features or gradients', () =>
    scope(() => {
      manualSeed(3);
      const frozen = tiny();
      const state = new Map<string, Tensor>(frozen.stateDict());
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
      const pixels = randn([1, 3, 64, 64]);
      for (const model of [frozen, tiny({ norm: 'batch' }).eval()]) {
        model.loadStateDict(state);
        // Of the two types that it is computed in below.
        const learned = (dtype: 'float32' | 'float64') => {
          model.to({ dtype });
          const features = model.forward(pixels.to(dtype));
          model.zeroGrad();
          ops.mean(features[3]!).backward();
          const gradients = [...model.namedParameters()].map(([, parameter]) => parameter.grad!.detach().clone());
          return [...features.map((level) => level.detach()), ...gradients];
        };
        const before = setExactConvolutions(true);
        const exact = learned('float64');
        setExactConvolutions(before);
        const constant = noGrad(() => model.forward(pixels.to('float64')));
        for (const [level, features] of constant.entries()) assertNear(features, exact[level]!, 1e-13);
        for (const [at, values] of learned('float64').entries()) assertNear(values, exact[at]!, 1e-13);
        for (const [at, values] of learned('float32').entries()) assertNear(values.to('float64'), exact[at]!, 1e-5);
        for (const [level, features] of noGrad(() => model.forward(pixels)).entries())
          assertNear(features.to('float64'), exact[level]!, 1e-5);
      }
    }));

  test('adds normEps to the variances', () =>
    scope(() => {
      const stem = tiny({ norm: 'frozen_batch', normEps: 0 }).bn1;
      assert.ok(stem instanceof FrozenBatchNorm2d);
      // Variance 1/4, mean 0, factor 1: 3 becomes 6 without an epsilon.
      stem.runningVar.assign(full([8], 0.25));
      assertClose(stem.forward(full([1, 8, 1, 1], 3)), new Array(8).fill(6));
    }));

  test('takes group norm where asked', () =>
    scope(() => {
      const model = new ResNet({ depth: 18, width: 32, norm: 'group', frozenStages: 0 });
      const levels = noGrad(() => model.forward(randn([1, 3, 64, 64])));
      assert.ok(levels[3]!.toNumbers().every(Number.isFinite));
    }));

  test('starts affine norms as identities that never learn, under the names of a batch norm', () => {
    const model = tiny({ norm: 'affine' });
    const norms = [...model.namedParameters()].filter(([name]) => NORM.test(name));
    assert.ok(norms.length > 0);
    for (const [name, parameter] of norms) {
      assert.equal(parameter.requiresGrad, false, name);
      assert.ok(
        parameter.toNumbers().every((value) => value === (name.endsWith('weight') ? 1 : 0)),
        name,
      );
    }
    assert.ok([...model.layer4!.namedParameters()].some(([, parameter]) => parameter.requiresGrad));
  });

  test('keeps the resolution of the stage before in a dilated last stage', () =>
    scope(() => {
      for (const lastStageDilation of [2, 4]) {
        const levels = noGrad(() => tiny({ depth: 50, lastStageDilation }).forward(randn([1, 3, 64, 96])));
        assert.deepEqual(
          levels.map((level) => level.shape.slice(2)),
          [
            [16, 24],
            [8, 12],
            [4, 6],
            [4, 6],
          ],
        );
      }
    }));

  test('ends with stage 4 where asked', () =>
    scope(() => {
      const model = tiny({ depth: 50, lastStage: 4 });
      assert.equal(model.layer4, undefined);
      assert.deepEqual(channelsOf(model), [32, 64, 128]);
      assert.equal(noGrad(() => model.forward(randn([1, 3, 64, 64]))).length, 3);
    }));
});

describe('ResNeXt', () => {
  // Parameters of torchvision 0.29's resnextN_GxWd without fc: with its batch norms, and its convolutions alone.
  for (const [depth, groups, widthPerGroup, withNorms, convolutions] of RESNEXT_PARAMETERS) {
    test(`${depth} ${groups}x${widthPerGroup}d has torchvision's number of parameters`, () => {
      assertParameters({ depth, groups, widthPerGroup, norm: 'batch', frozenStages: 0 }, withNorms, convolutions);
    });
  }
});

describe('Res2Net', () => {
  // Without gradients the parts are written over the splits.
  for (const [what, options] of [
    ['strides in its 3x3 convolutions', {}],
    ['strides in its 1x1 convolutions', { strideIn1x1: true }],
    ['dilated and grouped', { lastStageDilation: 2, groups: 2, widthPerGroup: 2 }],
    ['with batch norms', { norm: 'batch' }],
  ] as const)
    test(`gives the same whether gradients are wanted or not: ${what}`, () =>
      scope(() => {
        manualSeed(5);
        const model = tiny({ depth: 50, widthPerGroup: 3, scale: 4, ...options });
        model.eval();
        const picture = randn([2, 3, 64, 48]).to({ memoryFormat: 'channels_last' });
        for (const dtype of ['float32', 'float64'] as const) {
          model.to({ dtype });
          for (const parameter of model.parameters()) parameter.requiresGrad = true;
          const input = picture.to(dtype);
          const kept = input.toNumbers();
          const wanted = model.forward(input);
          assert.ok(wanted.at(-1)!.requiresGrad);
          // A sum's rounding goes with what it is made of, not with how little is left of it.
          const compare = (features: Tensor, level: number): void => {
            const size = wanted[level]!.abs().max().item() as number;
            assertClose(features, wanted[level]!, { absolute: size * (dtype === 'float64' ? 1e-12 : 1e-5) });
          };
          noGrad(() => model.forward(input)).forEach(compare);
          // What is frozen is computed so in training too.
          for (const parameter of model.parameters()) parameter.requiresGrad = false;
          model.forward(input).forEach(compare);
          assert.deepEqual(input.toNumbers(), kept);
        }
      }));
});

describe('Bottle2neck', () => {
  // Of so many channels the convolutions without gradients read and write slices of them.
  for (const [what, inChannels] of [
    ['reads one split after another', 208],
    ['begins a stage', 40],
  ] as const)
    test(`gives the same whether gradients are wanted or not where it ${what}`, () =>
      scope(() => {
        manualSeed(5);
        const block = new Bottle2neck(inChannels, { width: 26, scale: 4, outChannels: 208, norm: { kind: 'batch' } });
        block.eval();
        for (const format of ['channels_last', 'contiguous_format'] as const) {
          const input = randn([2, inChannels, 13, 18]).to({ memoryFormat: format });
          const plain = noGrad(() => block.forward(input));
          assertClose(plain, block.forward(input), { absolute: 1e-4, relative: 1e-4 });
        }
      }));
});

describe('resNetStage', () => {
  const options: ResNetOptions = { depth: 50, width: 4, norm: 'affine', frozenStages: 0 };

  test('reads every second cell alone with the stride in the first 1x1 convolution, their neighbours too in the 3x3', () =>
    scope(() => {
      /** Whether a change of cell (1, 1) is seen. */
      const seesOddCells = (strideIn1x1: boolean): boolean => {
        manualSeed(2);
        const input = randn([1, stageChannels(options, 2), 8, 8]);
        const stage = resNetStage({ ...options, strideIn1x1 }, 3);
        const before = noGrad(() => stage.call(input)).toNumbers();
        ops.fill_(ops.narrow(ops.narrow(input, 2, 1, 1), 3, 1, 1), 50);
        const after = noGrad(() => stage.call(input)).toNumbers();
        return after.some((value, i) => value !== before[i]);
      };
      assert.deepEqual([seesOddCells(true), seesOddCells(false)], [false, true]);
    }));

  test('takes another stride or dilation than its own', () =>
    scope(() => {
      const input = randn([1, stageChannels(options, 4), 14, 14]);
      const side = (override?: Parameters<typeof resNetStage>[2], lastStageDilation = 1): number =>
        noGrad(() => resNetStage({ ...options, lastStageDilation }, 5, override).call(input)).size(3);
      assert.deepEqual([side(), side(undefined, 2), side({ stride: 1 })], [7, 14, 14]);
      assert.deepEqual([side({ dilation: 2 }), side({ stride: 2, dilation: 2 })], [14, 7]);
    }));
});
