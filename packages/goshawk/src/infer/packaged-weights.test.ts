// The weights in the package against the networks that they are for.
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { scope } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { buildModel } from '../models/index.js';
import { loadWeights, readWeights } from './detector-file.js';
import { packagedFile, packagedWeights } from './packaged-weights.js';
import { findWeights, isWeightsName } from './weights-cache.js';

for (const { name, backbone, parameters } of packagedWeights) {
  test(`${name}: is found by its name, and small enough to come along`, () => {
    assert.ok(isWeightsName(name));
    assert.equal(findWeights(name, '--init'), packagedFile(name));
    assert.ok(statSync(packagedFile(name)!).size < 6e6);
  });

  test(`${name}: every tensor of such a backbone and none besides, finite, variances above zero`, () => {
    const made = { model: { type: 'faster_rcnn', classes: 1, backbone: { ...backbone, norm: 'batch' } } };
    const { model: config } = parseConfig(JSON.stringify(made), { file: 'made' });
    scope(() => {
      const model = buildModel(config, { classes: 1, keypoints: 0 });
      const file = packagedFile(name)!;
      const report = loadWeights(model, readWeights(file), file, { partial: true });
      const ofBody = [...model.stateDict().keys()].filter((key) => key.startsWith('backbone.body.'));
      assert.deepEqual([...report.loaded].sort(), ofBody.sort());
      assert.deepEqual([report.unexpected, report.mismatched, report.orphans], [[], [], []]);
      let count = 0;
      for (const [key, state] of model.stateDict()) {
        if (!key.startsWith('backbone.body.') || key.endsWith('num_batches_tracked')) continue;
        const values = state.toFloat32Array();
        const least = key.endsWith('running_var') ? 0 : Number.NEGATIVE_INFINITY;
        assert.ok(
          values.every((value) => value > least && value < Number.POSITIVE_INFINITY),
          key,
        );
        if (!key.includes('.running_')) count += values.length;
      }
      assert.equal(count, parameters);
    });
  });
}
