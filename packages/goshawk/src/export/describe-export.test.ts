import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ProbeObject } from '@goshawk/runtime';
import { tinyConfig } from '../testing/tiny-detector.js';
import { probeObjects } from './describe-export.js';

const objects = (...scores: readonly number[]): ProbeObject[] =>
  scores.map((score) => ({ label: 1, score, box: [0, 0, 20, 20] }));

describe('probeObjects', () => {
  const { model } = tinyConfig(['model.boxHead.scoreThreshold=0.3', 'model.boxHead.maxDetections=4']);
  const chosen = (found: readonly ProbeObject[]): number[] =>
    probeObjects(found, model, { score: 0.01 }).map(({ score }) => score);

  test('leaves out what lies at the threshold of the model, by as much as another runtime may be apart', () => {
    assert.deepEqual(chosen(objects(0.9, 0.32, 0.305)), [0.9, 0.32]);
  });

  test('leaves out what another one may take the place of, where there are as many as the limit allows', () => {
    assert.deepEqual(chosen(objects(0.9, 0.8, 0.505, 0.5)), [0.9, 0.8]);
    assert.deepEqual(chosen(objects(0.9, 0.8, 0.505)), [0.9, 0.8, 0.505]);
  });

  test('leaves out boxes that are too small to be compared by their overlap', () => {
    assert.deepEqual(chosen([...objects(0.9), { label: 1, score: 0.8, box: [0, 0, 20, 3] }]), [0.9]);
    assert.deepEqual(chosen([]), []);
  });
});
