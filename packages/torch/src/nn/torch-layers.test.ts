// Layers against what PyTorch 2.14 computed (fixtures/make.py).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { assertClose } from '../checks/assert-close.js';
import { tensor } from '../tensor/create.js';
import { manualSeed } from '../tensor/runtime.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { wave } from '../testing/wave.js';
import {
  AdaptiveAvgPool2d,
  type AttendOptions,
  AvgPool2d,
  BatchNorm2d,
  Conv2d,
  ConvTranspose2d,
  GELU,
  GroupNorm,
  type Layer,
  LayerNorm,
  Linear,
  MaxPool2d,
  type Module,
  MultiheadAttention,
} from './index.js';

interface LayerCase {
  readonly output: number[];
  readonly shape: number[];
  readonly names: string[];
  readonly running_mean: number[];
  readonly running_var: number[];
  readonly weights: number[];
}

const fixtures = JSON.parse(
  readFileSync(new URL('../../src/nn/fixtures/torch-layers.json', import.meta.url), 'utf8'),
) as Record<string, LayerCase>;
const tight = { absolute: 1e-12, relative: 1e-10 };

function caseOf(name: string): LayerCase {
  const found = fixtures[name];
  assert.ok(found, name);
  return found;
}

/** float64, with the fixtures' sines as state. */
function filled<M extends Module>(module: M): M {
  module.to({ dtype: 'float64' });
  for (const [k, [name, state]] of [...module.stateDict()].entries()) {
    if (state.dtype !== 'float64') continue;
    const values = wave(state.shape, k).toNumbers();
    const placed = name.endsWith('running_var') ? values.map((value) => Math.abs(value) + 0.5) : values;
    state.assign(tensor(Float64Array.from(placed), { shape: state.shape }));
  }
  return module;
}

const layers: readonly [name: string, layer: () => Layer, input: readonly number[]][] = [
  [
    'conv',
    () => new Conv2d(4, 6, [3, 2], { stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 2 }),
    [2, 4, 6, 5],
  ],
  [
    'convTranspose',
    () => new ConvTranspose2d(4, 6, 3, { stride: 2, padding: 1, outputPadding: 1, groups: 2 }),
    [2, 4, 3, 4],
  ],
  ['linear', () => new Linear(5, 3), [2, 4, 5]],
  ['batchNormEval', () => new BatchNorm2d(3).eval(), [2, 3, 4, 2]],
  ['batchNormTrain', () => new BatchNorm2d(3), [2, 3, 4, 2]],
  ['groupNorm', () => new GroupNorm(2, 4), [2, 4, 3, 3]],
  ['layerNorm', () => new LayerNorm([3, 4]), [2, 3, 4]],
  ['maxPool', () => new MaxPool2d(3, { stride: 2, padding: 1, ceilMode: true }), [1, 2, 6, 7]],
  ['avgPool', () => new AvgPool2d(3, { stride: 2, padding: 1, countIncludePad: false }), [1, 2, 6, 7]],
  ['adaptiveAvgPool', () => new AdaptiveAvgPool2d([2, 3]), [1, 2, 5, 7]],
  ['gelu', () => new GELU(), [3, 4]],
  ['geluTanh', () => new GELU({ approximate: 'tanh' }), [3, 4]],
];
for (const [name, make, shape] of layers) {
  test(`${name} has PyTorch's state names and numbers`, () => {
    scope(() => {
      const layer = filled(make());
      const expected = caseOf(name);
      assert.deepEqual([...layer.stateDict().keys()], expected.names);
      const output = layer.call(wave(shape, 0.3));
      assert.deepEqual(output.shape, expected.shape);
      assertClose(output, expected.output, tight);
      if (name === 'batchNormTrain' && layer instanceof BatchNorm2d) {
        assertClose(layer.runningMean, expected.running_mean, tight);
        assertClose(layer.runningVar, expected.running_var, tight);
        assert.equal(layer.numBatchesTracked.item(), 1);
      }
    });
  });
}

const bool = (values: readonly boolean[], shape: readonly number[]): Tensor =>
  tensor(Uint8Array.from(values, Number), { shape, dtype: 'bool' });
const padding = bool(
  Array.from({ length: 15 }, (_, i) => i === 3 || i === 4 || i === 11),
  [3, 5],
);
const attentions: readonly [
  name: string,
  lengths: readonly [number, number],
  batchFirst: boolean,
  masks: AttendOptions,
][] = [
  ['selfAttention', [4, 4], true, {}],
  ['crossAttention', [2, 5], false, {}],
  ['paddedAttention', [2, 5], true, { keyPaddingMask: padding }],
  ['addedAttention', [4, 4], false, { attentionMask: wave([4, 4], 0.5) }],
  [
    'causalAttention',
    [4, 4],
    true,
    {
      attentionMask: bool(
        Array.from({ length: 16 }, (_, i) => i % 4 > Math.floor(i / 4)),
        [4, 4],
      ),
    },
  ],
  [
    'perHeadAttention',
    [4, 4],
    true,
    {
      attentionMask: bool(
        wave([96], 0.5)
          .toNumbers()
          .map((value) => value > 0.6),
        [6, 4, 4],
      ),
    },
  ],
];
for (const [name, [queries, keys], batchFirst, masks] of attentions) {
  test(`${name} has PyTorch's state names and numbers`, () => {
    scope(() => {
      const attention = filled(new MultiheadAttention(6, 2, { batchFirst })).eval();
      const expected = caseOf(name);
      assert.deepEqual([...attention.stateDict().keys()], expected.names);
      const shape = (length: number): number[] => (batchFirst ? [3, length, 6] : [length, 3, 6]);
      const query = wave(shape(queries), 0.1);
      const [key, value] = queries === keys ? [query, query] : [wave(shape(keys), 0.2), wave(shape(keys), 0.3)];
      const { output, weights } = attention.callWithWeights(query, key, value, masks);
      assert.deepEqual(output.shape, query.shape);
      assertClose(output, expected.output, tight);
      assertClose(weights, expected.weights, tight);
    });
  });
}

const initial: readonly [name: string, make: () => Module][] = [
  ['initialConv', () => new Conv2d(4, 6, 3, { groups: 2 })],
  ['initialConvTranspose', () => new ConvTranspose2d(4, 6, 3)],
  ['initialLinear', () => new Linear(5, 30)],
  ['initialAttention', () => new MultiheadAttention(8, 2)],
];
for (const [name, make] of initial) {
  test(`${name}: the same seed gives PyTorch's initial parameters`, () => {
    manualSeed(7);
    const expected = fixtures[name] as unknown as number[][];
    for (const [i, parameter] of make().parameters().entries())
      assertClose(parameter.toNumbers().slice(0, 6), expected[i] ?? [], { absolute: 1e-8, relative: 1e-6 });
  });
}
