// Every config of Detectron.pytorch builds the network that it builds there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { readDetectronConfig } from '../foreign/detectron/config.js';
import { ownName, shippedConfigs } from '../foreign/detectron/fixtures/shipped-configs.js';
import { buildModel, modelComplexity } from '../models/index.js';

// Counted on the original's modules, the factors and offsets of affine norms included: 81 classes, 2 with keypoints.
const ORIGINAL: Readonly<Record<string, number>> = {
  'mask_rcnn_R-50-FPN': 44_400_693,
  'mask_rcnn_R-101-FPN': 63_392_821,
  'mask_rcnn_X-101-32x8d-FPN': 107_634_997,
  'mask_rcnn_X-101-64x4d-FPN': 102_298_933,
  'mask_rcnn_X-152-32x8d-FPN-IN5k': 141_216_053,
  'mask_rcnn_R-50-C4': 35_971_185,
  'mask_rcnn_R-101-C4': 54_963_313,
  'mask_rcnn_R-50-FPN gn': 45_715_509,
  'mask_rcnn_R-101-FPN gn': 64_707_637,
  'faster_rcnn_R-50-C4': 33_852_960,
  'faster_rcnn_R-50-FPN': 41_757_156,
  'faster_rcnn_R-101-FPN': 60_749_284,
  'faster_rcnn_X-101-32x8d-FPN': 104_991_460,
  'faster_rcnn_X-101-64x4d-FPN': 99_655_396,
  'keypoint_rcnn_R-50-FPN': 59_195_019,
  'keypoint_rcnn_R-101-FPN': 78_187_147,
  'keypoint_rcnn_X-101-32x8d-FPN': 122_429_323,
  'keypoint_rcnn_X-101-64x4d-FPN': 117_093_259,
};

const page = readFileSync(new URL('../../../../docs/detectron.md', import.meta.url), 'utf8');

describe('the parameters of', () => {
  const checked = new Set<string>();
  for (const { name, text, isBroken } of shippedConfigs) {
    const [, model] = /e2e_(.*?)(?:_[^_]+x)?(?:_gn)?$/.exec(name) ?? [];
    const architecture = `${model}${name.endsWith('_gn') ? ' gn' : ''}`;
    test(name, () => {
      const { config } = readDetectronConfig(isBroken ? text.replace(/^IMAGENET_/m, '  IMAGENET_') : text, {
        file: name,
        sets: [],
      });
      const expected = ORIGINAL[architecture];
      assert.ok(expected !== undefined, architecture);
      assert.ok(page.includes(`| ${ownName(name)} | ${expected.toLocaleString('en-US')} |`), 'the page has them');
      // The variants of a schedule are one network.
      if (checked.has(architecture)) return;
      checked.add(architecture);
      const classes = config.model.type === 'keypoint_rcnn' ? 1 : 80;
      const { parameters } = modelComplexity(() => buildModel(config.model, { classes }), [320, 320]);
      assert.equal(parameters, expected);
    });
  }
});
