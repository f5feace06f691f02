import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StageTimes } from './stage-times.js';

test('says how long each stage took of a picture', async () => {
  const stages = new StageTimes();
  assert.equal(
    stages.measure('draw', () => 'drawn'),
    'drawn',
  );
  assert.equal(await stages.measureAsync('decode', () => Promise.resolve(7)), 7);
  stages.add('network', 810);
  stages.add('post', 9);
  assert.equal(stages.of('network'), 810);
  assert.match(stages.describe(2), /^decode 0\.\d, network 405\.0, post 4\.5, draw 0\.\d ms$/);
});
