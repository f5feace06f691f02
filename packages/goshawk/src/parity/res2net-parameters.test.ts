// Every config of Res2Net-maskrcnn builds the network that it builds there, and is in configs/res2net/ value for value.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadConfig } from '../config/index.js';
import { readMaskrcnnConfig } from '../foreign/maskrcnn-benchmark/config.js';
import { ownName, shippedConfigs } from '../foreign/maskrcnn-benchmark/fixtures/shipped-configs.js';
import { buildModel, modelComplexity } from '../models/index.js';

// Counted on the original's modules, and on the same networks written plainly in PyTorch (fixtures/res2net_backbones).
const ORIGINAL: Readonly<Record<string, number>> = {
  R2_50_s4: 44_483_289,
  R2_50_s2: 44_075_957,
  R2_50_s6: 43_940_945,
  R2_50_s8: 43_840_681,
  R2_101_s4: 63_931_289,
  R_50: 44_347_573,
  R_101: 63_287_477,
};
/** The mask head's. */
const MASK_PARAMETERS = 2_643_537;

const configs = fileURLToPath(new URL('../../../../configs/res2net/', import.meta.url));
const page = readFileSync(new URL('../../../../docs/maskrcnn-benchmark.md', import.meta.url), 'utf8');

describe('Res2Net-maskrcnn', () => {
  for (const { name, text } of shippedConfigs) {
    const expected = ORIGINAL[/rcnn_(.*)_FPN/.exec(name)![1]!]!;
    const { config } = readMaskrcnnConfig(text, { file: name, sets: [] });

    test(`${name} has as many parameters`, () => {
      assert.ok(page.includes(`| ${ownName(name)} | ${expected.toLocaleString('en-US')} |`), 'the page has them');
      const { parameters } = modelComplexity(() => buildModel(config.model, { classes: 80 }), [320, 320]);
      assert.equal(parameters, expected);
      const boxes = readMaskrcnnConfig(text, { file: name, sets: ['MODEL.MASK_ON=False'] }).config.model;
      const without = modelComplexity(() => buildModel(boxes, { classes: 80 }), [320, 320]);
      assert.equal(without.parameters, expected - MASK_PARAMETERS);
    });

    test(`${name} is configs/res2net/${ownName(name)}.yaml`, () => {
      assert.deepEqual(loadConfig(`${configs}${ownName(name)}.yaml`).config, config);
    });
  }
});
