// The configs that come with the toolbox, and their reference page.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { configReference, loadConfig } from './index.js';

const folder = fileURLToPath(new URL('../../../../configs', import.meta.url));

describe('configs/', () => {
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.yaml'),
  )) {
    test(`${file} is valid`, () => {
      loadConfig(path.join(folder, file));
    });
  }

  test('torchvision/mask_rcnn_r50_fpn.yaml steps as torchvision does: 26 epochs, steps after 16 and 22', () => {
    const { train } = loadConfig(path.join(folder, 'torchvision/mask_rcnn_r50_fpn.yaml')).config;
    // 117,266 training images of COCO 2017 have a usable object (references/detection/coco_utils.py), 16 a step.
    const epoch = Math.floor(117_266 / 16);
    assert.equal(train.batchSize * train.accumulate, 16);
    assert.equal(train.iterations, 26 * epoch);
    assert.deepEqual(train.schedule.steps, [16 * epoch, 22 * epoch]);
  });
});

test('docs/config.md lists the keys of the schema: else run scripts/write-config-reference.mjs', () => {
  const page = readFileSync(fileURLToPath(new URL('../../../../docs/config.md', import.meta.url)), 'utf8');
  assert.ok(page.includes(configReference()));
});
