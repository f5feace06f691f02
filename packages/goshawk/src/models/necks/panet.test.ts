// PANet's second path against its definition (Liu et al. 2018, section 3.1) in double precision.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, gradientCheck, manualSeed, ops, scope, type Tensor } from '@goshawk/torch';
import {
  asTensor,
  convolved,
  drawnInDouble,
  enlarged,
  noiseLevels,
  type PlainMap,
  type PlainState,
  plain,
  plainState,
  valueByValue,
} from '../../testing/plain-maps.js';
import { Fpn } from './fpn.js';
import { Panet, type PanetOptions } from './panet.js';

const CHANNELS = 4;
const IN_CHANNELS = [3, 2, 5];
/** Odd ones too, which a stride rounds up. */
const SIDES = [
  [9, 6],
  [5, 3],
  [3, 2],
] as const;

const relu = (map: PlainMap): PlainMap => valueByValue([map], (value) => Math.max(0, value));
const sum = (a: PlainMap, b: PlainMap): PlainMap => valueByValue([a, b], (one, other) => one + other);

/** P levels by the feature pyramid; N levels: N2 = P2, N(i+1) = relu(conv(relu(conv of stride 2(N(i))) + P(i+1))). */
function panetOf(features: readonly PlainMap[], state: PlainState, stride = 2): PlainMap[] {
  const conv = (map: PlainMap, name: string, kernel: number, step = 1): PlainMap =>
    convolved(map, state(`${name}.0.weight`), { kernel, stride: step, bias: state(`${name}.0.bias`) });
  const merged: PlainMap[] = [];
  for (let level = features.length - 1; level >= 0; level--) {
    const lateral = conv(features[level]!, `inner_blocks.${level}`, 1);
    merged.unshift(merged[0] ? sum(lateral, enlarged(merged[0], lateral)) : lateral);
  }
  const pyramid = merged.map((map, level) => conv(map, `layer_blocks.${level}`, 3));
  const path = [pyramid[0]!];
  for (let level = 1; level < pyramid.length; level++) {
    const reduced = relu(conv(path[level - 1]!, `reduce_blocks.${level - 1}`, 3, stride));
    path.push(relu(conv(sum(reduced, pyramid[level]!), `fuse_blocks.${level - 1}`, 3)));
  }
  return path;
}

function make(options: Partial<PanetOptions> = {}): Panet {
  manualSeed(3);
  return drawnInDouble(new Panet({ inChannels: IN_CHANNELS, channels: CHANNELS, ...options }));
}

describe('Panet', () => {
  test('leads features from fine to coarse as its paper says', () =>
    scope(() => {
      const panet = make();
      const features = noiseLevels(IN_CHANNELS, SIDES);
      const expected = panetOf(features.map(plain), plainState(panet));
      const levels = panet.forward(features);
      assert.equal(levels.length, expected.length);
      for (const [i, level] of levels.entries())
        assertClose(level, asTensor(expected[i]!), { absolute: 1e-12, relative: 1e-12 });
    }));

  test('keeps the resolution between two levels of one stride', () =>
    scope(() => {
      const panet = make({ inChannels: [3, 2], strides: [32, 32] });
      const features = noiseLevels([3, 2], [SIDES[1], SIDES[1]]);
      const expected = panetOf(features.map(plain), plainState(panet), 1);
      for (const [i, level] of panet.forward(features).entries())
        assertClose(level, asTensor(expected[i]!), { absolute: 1e-12, relative: 1e-12 });
    }));

  test('has gradients', () =>
    scope(() => {
      const panet = make({ inChannels: [1, 2, 1], channels: 2 });
      const features = noiseLevels(
        [1, 2, 1],
        [
          [4, 3],
          [2, 2],
          [1, 1],
        ],
      );
      for (const map of features) map.requiresGrad = true;
      const inputs = Object.fromEntries([
        ...features.map((map, i) => [`C${i}`, map] as const),
        ...panet.namedParameters(),
      ]);
      gradientCheck(() => joined(panet.forward(features)), inputs);
    }));

  test("makes extra levels of its own last one, and takes a feature pyramid's weights", () =>
    scope(() => {
      const fpn = new Fpn({ inChannels: IN_CHANNELS, channels: CHANNELS, extra: { kind: 'pool' } });
      const panet = new Panet({ inChannels: IN_CHANNELS, channels: CHANNELS, extra: { kind: 'pool' } });
      const { missing, unexpected } = panet.loadStateDict(fpn.stateDict(), { strict: false });
      assert.deepEqual(unexpected, []);
      assert.ok(missing.every((name) => /^(reduce|fuse)_blocks\./.test(name)));
      assert.deepEqual([panet.strides, panet.roiLevels], [[4, 8, 16, 32], 3]);
      const levels = panet.forward(noiseLevels(IN_CHANNELS, SIDES).map((map) => map.to('float32')));
      assertClose(levels[3]!, ops.max_pool2d(levels[2]!, [1, 1], { stride: [2, 2] }));
    }));

  test('has norms for biases where asked', () => {
    const names = [...make({ norm: 'batch' }).stateDict().keys()].filter((name) => name.startsWith('fuse_blocks.1'));
    assert.ok(names.includes('fuse_blocks.1.1.running_var') && !names.includes('fuse_blocks.1.0.bias'));
  });
});

/** All values of all levels in one row. */
function joined(levels: readonly Tensor[]): Tensor {
  return ops.cat(levels.map((level) => ops.reshape(level, [-1])));
}
