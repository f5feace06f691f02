// BiFPN against its definition (Tan et al. 2020, section 3) in double precision.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, gradientCheck, manualSeed, noGrad, ops, scope, type Tensor, tensor } from '@goshawk/torch';
import {
  asTensor,
  convolved,
  drawnInDouble,
  enlarged,
  noiseLevels,
  normalised,
  type PlainMap,
  type PlainState,
  plain,
  plainState,
  pooledByTwo,
  valueByValue,
} from '../../testing/plain-maps.js';
import { BiFpn, type BiFpnOptions, Fusion } from './bifpn.js';

const EPS = 1e-3;
const NORM = { kind: 'batch', eps: EPS } as const;
const IN_CHANNELS = [3, 2, 5];
const SIDES = [
  [9, 6],
  [5, 3],
  [3, 2],
] as const;

/** O = sum of w_i / (0.0001 + sum of w_j) * I_i, w = relu(weight); separable convolution, norm, swish. */
function fused(maps: readonly PlainMap[], state: PlainState, name: string): PlainMap {
  const weights = state(`${name}.weight`).map((weight) => Math.max(0, weight));
  const total = weights.reduce((sum, weight) => sum + weight, 1e-4);
  const mixed = valueByValue(maps, (...values) =>
    values.reduce((sum, value, i) => sum + (weights[i]! / total) * value, 0),
  );
  const depthwise = convolved(mixed, state(`${name}.depthwise.weight`), { kernel: 3, isDepthwise: true });
  const pointwise = convolved(depthwise, state(`${name}.pointwise.weight`), { kernel: 1 });
  return valueByValue([normalised(pointwise, state, `${name}.bn`, EPS)], (value) => value / (1 + Math.exp(-value)));
}

/** Levels 3 to 7 of the paper are 0 to 4 here; of others the first and last are as 3 and 7 there. */
function cell(inputs: readonly PlainMap[], state: PlainState, name: string): PlainMap[] {
  const last = inputs.length - 1;
  // P7 has no node of its own on the way down.
  const down = [...inputs];
  for (let level = last - 1; level >= 0; level--)
    down[level] = fused([inputs[level]!, enlarged(down[level + 1]!, inputs[level]!)], state, `${name}.down.${level}`);
  const outputs = [down[0]!];
  for (let level = 1; level <= last; level++) {
    const below = pooledByTwo(outputs[level - 1]!);
    const maps = level < last ? [inputs[level]!, down[level]!, below] : [inputs[level]!, below];
    outputs.push(fused(maps, state, `${name}.up.${level - 1}`));
  }
  return outputs;
}

function bifpnOf(features: readonly PlainMap[], state: PlainState, extraLevels: number, repeats: number): PlainMap[] {
  const lateral = (map: PlainMap, i: number): PlainMap =>
    normalised(convolved(map, state(`lateral.${i}.conv.weight`), { kernel: 1 }), state, `lateral.${i}.bn`, EPS);
  let levels = features.map(lateral);
  for (let extra = 0; extra < extraLevels; extra++)
    levels.push(pooledByTwo(extra === 0 ? lateral(features.at(-1)!, features.length) : levels.at(-1)!));
  for (let repeat = 0; repeat < repeats; repeat++) levels = cell(levels, state, `cells.${repeat}`);
  return levels;
}

function make(options: Partial<BiFpnOptions> = {}): BiFpn {
  manualSeed(5);
  const bifpn = new BiFpn({ inChannels: IN_CHANNELS, channels: 4, extraLevels: 0, repeats: 1, norm: NORM, ...options });
  const drawn = drawnInDouble(bifpn);
  // Weights of both signs: those below 0 count as 0. The first of each fusion stays positive.
  noGrad(() => {
    for (const [name, parameter] of drawn.namedParameters())
      if (/\.(down|up)\.\d+\.weight$/.test(name)) ops.fill_(ops.narrow(parameter, 0, 0, 1), 0.7);
  });
  return drawn;
}

describe('BiFpn', () => {
  for (const [what, extraLevels, repeats] of [
    ['one pass over three levels', 0, 1],
    ['three passes over three levels and two extra ones', 2, 3],
  ] as const) {
    test(`fuses levels as its paper says: ${what}`, () =>
      scope(() => {
        const bifpn = make({ extraLevels, repeats }).eval();
        const features = noiseLevels(IN_CHANNELS, SIDES);
        const expected = bifpnOf(features.map(plain), plainState(bifpn), extraLevels, repeats);
        for (const levels of [bifpn.forward(features), noGrad(() => bifpn.forward(features))]) {
          assert.equal(levels.length, expected.length);
          for (const [i, level] of levels.entries())
            assertClose(level, asTensor(expected[i]!), { absolute: 1e-12, relative: 1e-11 });
        }
      }));
  }

  test('has gradients, also of its weights', () =>
    scope(() => {
      const bifpn = make({ inChannels: [1, 2], channels: 2, extraLevels: 1 }).eval();
      const features = noiseLevels(
        [1, 2],
        [
          [4, 3],
          [2, 2],
        ],
      );
      for (const map of features) map.requiresGrad = true;
      const inputs = Object.fromEntries([
        ...features.map((map, i) => [`C${i}`, map] as const),
        ...bifpn.namedParameters(),
      ]);
      const joined = (levels: readonly Tensor[]) => ops.cat(levels.map((level) => ops.reshape(level, [-1])));
      gradientCheck(() => joined(bifpn.forward(features)), inputs);
    }));

  test('names strides, also of levels that double more or less than once', () =>
    scope(() => {
      const bifpn = make({ inChannels: [2, 2, 2], strides: [4, 16, 16], extraLevels: 1 }).eval();
      assert.deepEqual([bifpn.strides, bifpn.roiLevels], [[4, 16, 16, 32], 3]);
      const features = noiseLevels(
        [2, 2, 2],
        [
          [15, 9],
          [4, 3],
          [4, 3],
        ],
      );
      assert.deepEqual(
        bifpn.forward(features).map(({ shape }) => shape),
        [
          [1, 4, 15, 9],
          [1, 4, 4, 3],
          [1, 4, 4, 3],
          [1, 4, 2, 2],
        ],
      );
    }));
});

describe('Fusion', () => {
  test('starts with equal shares, and without a positive weight gives what the norm makes of 0', () =>
    scope(() => {
      const fusion = new Fusion(2, 1, NORM).eval();
      assert.deepEqual(fusion.weight.toNumbers(), [1, 1]);
      const map = tensor([1, 2, 3, 4], { shape: [1, 1, 2, 2] });
      noGrad(() => ops.fill_(fusion.weight, -1));
      assertClose(fusion.forward([map, map]), [0, 0, 0, 0]);
    }));
});
