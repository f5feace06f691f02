// What is made of weights where a model may run once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostMemory, liveTensors, manualSeed, noGrad, randn, scope, type Tensor } from '../index.js';
import { Conv2d, convNormRelu, FrozenBatchNorm2d, keepFromSecondRun, Sequential } from './index.js';

const CHANNELS = 128;
const SIZE = [1, CHANNELS, 24, 24] as const;
/** What is kept of a 3x3 convolution is larger. */
const LEAST_KEPT = 2 ** 18;

function picture(): Tensor {
  return randn(SIZE).contiguous({ memory_format: 'channels_last' });
}

/** Bytes that stay behind each of three runs, and what they gave. */
function runs(forward: () => Tensor): { kept: number[]; results: number[][] } {
  const kept: number[] = [];
  const results: number[][] = [];
  for (let run = 0; run < 3; run++) {
    const before = hostMemory()!.inUse;
    results.push(noGrad(() => scope(() => forward().toNumbers())));
    kept.push(hostMemory()!.inUse - before);
  }
  return { kept, results };
}

for (const [name, side] of [
  ['1x1', 1],
  ['3x3', 3],
] as const)
  test(`of a ${name} convolution and its norm nothing is kept of the first run, all of the second, and the results are the same`, () =>
    scope(() => {
      manualSeed(4);
      const [conv, norm] = [
        new Conv2d(CHANNELS, CHANNELS, side, { padding: side >> 1, bias: false }),
        new FrozenBatchNorm2d(CHANNELS),
      ];
      const input = picture();
      const forward = () => convNormRelu(input, conv, norm, { relu: true });
      const whole = runs(forward);
      assert.ok(whole.kept[0]! > 0 && whole.kept[1] === 0);
      const model = new Sequential(conv, norm).eval();
      conv.train().eval();
      keepFromSecondRun(model);
      const live = liveTensors();
      const { kept, results } = runs(forward);
      assert.equal(kept[0], 0);
      assert.ok(kept[1]! === whole.kept[0]! && kept[2] === 0, `${kept}`);
      assert.ok(liveTensors() > live);
      for (const result of results) assert.deepEqual(result, whole.results[0]);
    }));

test('of a convolution that several maps share all is kept at once', () =>
  scope(() => {
    const conv = new Conv2d(CHANNELS, CHANNELS, 3, { padding: 1 }).eval();
    keepFromSecondRun(conv);
    const maps = [picture(), picture()];
    const { kept, results } = runs(() => conv.forEach(maps, { relu: true })[1]!);
    assert.ok(kept[0]! >= LEAST_KEPT && kept[1] === 0, `${kept}`);
    assert.deepEqual(results[1], results[0]);
  }));
