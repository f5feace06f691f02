import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  BatchNorm2d,
  liveTensors,
  manualSeed,
  noGrad,
  operatorsThatWait,
  rand,
  randn,
  recordOperators,
  scope,
  setThreads,
} from '@goshawk/torch';
import type { SamplerState } from '../data/index.js';
import { tinyDetector } from '../testing/tiny-detector.js';
import { randomSourcesOf } from './random-sources.js';
import { Standing } from './standing.js';

const place = (position: number): SamplerState => ({ seed: 0, count: 4, position, pending: [] });
const drawn = (): number[] => scope(() => rand([4]).toNumbers());

describe('where a training stands', () => {
  setThreads(1);
  const model = tinyDetector({ sets: ['model.backbone.norm=batch'] });
  const buffers = () => model.buffers().map((buffer) => buffer.toNumbers());
  /** What a pass does to running statistics. */
  const learn = (): void => {
    for (const norm of model.modules())
      if (norm instanceof BatchNorm2d) noGrad(() => norm.call(randn([2, norm.runningMean.length, 4, 4])));
  };
  model.train();

  test('comes back as it was taken last, running statistics, random numbers and all, as often as needed', () => {
    manualSeed(1);
    const standing = new Standing(model, randomSourcesOf('cpu'), place(0));
    learn();
    standing.take(place(2));
    const before = buffers();
    const next = drawn();
    for (let time = 0; time < 2; time++) {
      learn();
      assert.notDeepEqual(buffers(), before);
      standing.goBack();
      assert.deepEqual(buffers(), before);
      assert.deepEqual(drawn(), next);
    }
    assert.equal(standing.loader.position, 2);
    standing.dispose();
  });

  test('is taken without waiting for a device, in memory that is taken once', () => {
    const alive = liveTensors();
    const standing = new Standing(model, randomSourcesOf('cpu'), place(0));
    const kept = liveTensors();
    assert.deepEqual([...operatorsThatWait(recordOperators(() => standing.take(place(1))))], []);
    assert.equal(liveTensors(), kept);
    standing.dispose();
    assert.equal(liveTensors(), alive);
  });

  test('keeps no statistics that never change', () => {
    const frozen = tinyDetector();
    const alive = liveTensors();
    const standing = new Standing(frozen, randomSourcesOf('cpu'), place(0));
    assert.ok(frozen.buffers().length > 0);
    // The state of one generator.
    assert.equal(liveTensors(), alive + 1);
    standing.dispose();
  });
});
