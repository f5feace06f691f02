import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StageTimes } from './stage-times.js';

test('says how long each stage took of a picture', async () => {
  const stages = new StageTimes();
  assert.equal(
    stages.during('drawing', () => 'drawn'),
    'drawn',
  );
  assert.equal(await stages.waiting('pictures', Promise.resolve(7)), 7);
  stages.add('network', 810);
  stages.add('post-processing', 9);
  const [, whole] =
    /^a picture takes (\d+) ms: pictures [\d.]+ ms, network 405 ms, post-processing 4\.5 ms, drawing [\d.]+ ms$/.exec(
      stages.describe(2),
    )!;
  assert.ok(Number(whole) >= 409);
});

test('of stages that run side by side says each in its place, and no sum', () => {
  const stages = new StageTimes();
  stages.add('encoding', 6);
  stages.add('network', 300);
  stages.add('decoding', 9);
  stages.add('decoding', 3);
  assert.equal(stages.of('decoding'), 12);
  assert.equal(stages.of('drawing'), 0);
  assert.equal(stages.describeEach(3), 'decoding 4.0 ms, network 100 ms, encoding 2.0 ms');
});
