import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { assertClose, manualSeed, noGrad, ops, randn, scope, setThreads, type Tensor } from '@goshawk/torch';
import { SPINENET_NORM, SpineNet } from './spinenet.js';
import { Resample } from './spinenet-layers.js';

setThreads(1);

const tiny = () => {
  manualSeed(0);
  return new SpineNet({ variant: '49S', widthScale: 0.1, endpointChannels: 8 });
};

const count = (model: SpineNet): number => model.parameters().reduce((sum, { length }) => sum + length, 0);

describe('SpineNet', () => {
  test('gives five levels of strides 8 to 128', () => {
    const model = tiny();
    noGrad(() => {
      const features = model.eval().forward(randn([1, 3, 128, 256]));
      assert.deepEqual(
        features.map((feature) => feature.shape),
        [8, 16, 32, 64, 128].map((stride) => [1, 8, 128 / stride, 256 / stride]),
      );
    });
    assert.deepEqual(model.strides, [8, 16, 32, 64, 128]);
    assert.equal(model.channels, 8);
  });

  test('has the parameter names of SpineNet-Pytorch', () => {
    const names = [...tiny().stateDict().keys()];
    for (const name of [
      'conv1.conv.weight',
      'conv1.bn.running_mean',
      'init_block1.0.downsample.0.weight',
      'init_block1.0.downsample.1.bias',
      'init_block2.0.bn3.weight',
      'merge_ops.1.resample_ops.0.downsample_conv.conv.weight',
      'merge_ops.14.resample_ops.1.expand_conv.bn.bias',
      'scale_permuted_blocks.14.0.conv3.weight',
      'endpoint_convs.7.bn.weight',
    ])
      assert.ok(names.includes(name), name);
    assert.ok(!names.some((name) => name.startsWith('init_block2.0.downsample')));
  });

  test('widens and repeats its blocks with the variant', () => {
    const of = (variant: '49S' | '49' | '96') => {
      const model = new SpineNet({ variant });
      return [model.channels, model.scalePermutedBlocks[0]!.layers.length, count(model)] as const;
    };
    const [small, base, deep] = [of('49S'), of('49'), of('96')];
    assert.deepEqual(small.slice(0, 2), [128, 1]);
    assert.deepEqual(base.slice(0, 2), [256, 1]);
    assert.deepEqual(deep.slice(0, 2), [256, 2]);
    // The detectors differ by their backbones alone: 42.74M - 28.31M in SpineNet-Pytorch's table.
    assert.equal(((deep[2] - base[2]) / 1e6).toFixed(2), '14.43');
  });

  test('gives every parameter a gradient', () => {
    const model = tiny().train();
    scope(() => {
      const features = model.forward(randn([2, 3, 128, 128]));
      ops
        .stack(features.map((feature) => ops.sum(ops.mul(feature, feature))))
        .sum()
        .backward();
      for (const [name, { grad }] of model.namedParameters()) assert.ok(grad, name);
    });
  });

  test('starts with residual blocks that are identities', () => {
    const block = tiny().eval().scalePermutedBlocks[0]!;
    noGrad(() => {
      const input = ops.relu(randn([1, 24, 8, 8]));
      assert.deepEqual(input.shape, block.forward(input).shape);
      assertClose(block.forward(input), input);
    });
  });

  test('says to which multiple pictures must be padded', () => {
    assert.throws(
      () => scope(() => tiny().forward(randn([1, 3, 128, 160]))),
      (error) => error instanceof InputError && /padded to multiples of 128, got 128x160/.test(error.message),
    );
  });
});

describe('Resample', () => {
  const resample = (fromLevel: number, toLevel: number, input: Tensor): Tensor =>
    new Resample({ fromLevel, toLevel, inChannels: 4, hiddenChannels: 3, outChannels: 5, norm: SPINENET_NORM })
      .eval()
      .forward(input);

  test('reaches the resolution of every level', () => {
    noGrad(() => {
      for (const from of [2, 3, 4, 5, 6, 7]) {
        for (const to of [2, 3, 4, 5, 6, 7]) {
          const side = (level: number): number => 128 / 2 ** level;
          assert.deepEqual(resample(from, to, randn([1, 4, side(from), side(from)])).shape, [1, 5, side(to), side(to)]);
        }
      }
    });
  });

  test('repeats cells when it enlarges', () => {
    noGrad(() => {
      const output = resample(4, 3, randn([1, 4, 2, 2]));
      assertClose(output.narrow(2, 0, 1), output.narrow(2, 1, 1));
      assertClose(output.narrow(3, 2, 1), output.narrow(3, 3, 1));
    });
  });
});
