// Numbers that no network needs, in other systems' configs: one line that names the file's own key and line, at once.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { InputError } from '@goshawk/core';
import { processorMs } from '../testing/processor-time.js';
import { readDetectronConfig } from './detectron/config.js';
import { detectronKeys } from './detectron/keys.js';
import { readMaskrcnnConfig } from './maskrcnn-benchmark/config.js';
import { zooConfigs } from './maskrcnn-benchmark/fixtures/shipped-configs.js';
import { maskrcnnKeys } from './maskrcnn-benchmark/keys.js';
import { readMmdetectionConfig } from './mmdetection/config.js';
import { isKey, type Key, type KeyTree } from './shared/key-kinds.js';

/** What is said, or undefined where the config is taken. */
function problem(read: () => unknown): string | undefined {
  const started = processorMs();
  try {
    read();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof InputError, String(error));
    assert.ok(!error.message.includes('\n'), error.message);
    return error.message;
  } finally {
    assert.ok(processorMs() - started < 5000, 'a second on a quiet machine');
  }
}

/** Numbers that no network needs. */
const FAR = ['100000000', '-100000000', '1000000000000', '1e308'] as const;

describe("Detectron's keys", () => {
  const MASKS = 'MODEL: {TYPE: generalized_rcnn, CONV_BODY: FPN.fpn_ResNet50_conv5_body, FASTER_RCNN: True';
  const HEADS =
    'FPN: {FPN_ON: True, MULTILEVEL_ROIS: True, MULTILEVEL_RPN: True}\nFAST_RCNN: {ROI_BOX_HEAD: fast_rcnn_heads.roi_2mlp_head}';
  const bases = {
    masks: `${MASKS}, MASK_ON: True}\n${HEADS}\nMRCNN: {ROI_MASK_HEAD: mask_rcnn_heads.mask_rcnn_fcn_head_v1up4convs}\n`,
    keypoints: `${MASKS}, KEYPOINTS_ON: True}\n${HEADS}\nKRCNN: {ROI_KEYPOINTS_HEAD: keypoint_rcnn_heads.roi_pose_head_v1convX}\n`,
  };
  const read = (text: string, path: string, value: string) => () =>
    readDetectronConfig(text, { file: 'c.yaml', sets: [`${path}=${value}`] });

  // What is a bound of both is so whatever the number beyond it: all of them of one.
  const values = { masks: FAR, keypoints: FAR.slice(0, 2) };
  for (const name of ['masks', 'keypoints'] as const) {
    const text = bases[name];
    test(`of a model of ${name} are read`, () => {
      assert.equal(
        problem(() => readDetectronConfig(text, { file: 'c.yaml', sets: [] })),
        undefined,
      );
    });
    for (const value of values[name]) {
      test(`take ${value} in a model of ${name}, or are named`, () => {
        for (const [path, key] of numbers(detectronKeys.tree, '')) {
          const list = key.kind === 'ints' || key.kind === 'floats' ? `(${value},)` : value;
          const message = problem(read(text, path, list));
          // Some are told by the key that they no longer fit to.
          if (message !== undefined)
            assert.ok(/^(--set|c\.yaml):? [A-Z][A-Z0-9_.]+: /.test(message), `${path}: ${message}`);
        }
      });
    }
  }

  test('are named with the line and the key of ours', () => {
    const text = `${bases.masks}RPN:\n  RPN_ON: True\n`.replace('FPN_ON: True', 'FPN_ON: True, DIM: 100000000');
    assert.equal(
      problem(() => readDetectronConfig(text, { file: 'c.yaml', sets: [] })),
      'c.yaml:2: FPN.DIM: as model.neck.channels: got 100000000: expected a whole number from 1 to 16384',
    );
  });
});

function numbers(tree: KeyTree, prefix: string): (readonly [string, Key])[] {
  return Object.entries(tree).flatMap(([name, node]) => {
    if (!isKey(node)) return numbers(node, `${prefix}${name}.`);
    return ['int', 'float', 'ints', 'floats'].includes(node.kind) ? [[`${prefix}${name}`, node] as const] : [];
  });
}

describe("maskrcnn-benchmark's keys", () => {
  const bases = [
    'e2e_keypoint_rcnn_R_50_FPN_1x',
    'e2e_mask_rcnn_R_50_C4_1x',
    'retinanet/retinanet_R-50-FPN_1x',
  ] as const;
  for (const base of bases) {
    for (const value of base === bases[0] ? [...FAR, '0'] : [FAR[0], '0']) {
      test(`take ${value} in ${base}, or are named`, () => {
        for (const [path, key] of numbers(maskrcnnKeys.tree, '')) {
          const list = key.kind === 'ints' || key.kind === 'floats' ? `(${value},)` : value;
          const sets = [`${path}=${list}`];
          const message = problem(() => readMaskrcnnConfig(zooConfigs[base], { file: 'c.yaml', sets }));
          if (message !== undefined)
            assert.ok(/^(--set|c\.yaml:?\d*:?) ?[A-Z][A-Z0-9_.]+: /.test(message), `${path}: ${message}`);
        }
      });
    }
  }
});

describe("mmdetection's numbers", () => {
  const names = ['mask_rcnn_resnet', 'mask_rcnn_spinenet', 'retinanet_resnet', 'retinanet_spinenet'] as const;
  for (const name of names) {
    const url = new URL(`../../src/foreign/mmdetection/fixtures/${name}.py`, import.meta.url);
    const text = readFileSync(fileURLToPath(url), 'utf8');
    for (const value of name === names[0] ? ['100000000', '-100000000', '1e308'] : ['100000000']) {
      test(`of ${name} are taken as ${value}, or named with their line`, () => {
        for (const { index, 0: number } of text.matchAll(/(?<![\w.'"])\d+(\.\d+)?(e-?\d+)?(?![\w.'"])/g)) {
          const changed = text.slice(0, index) + value + text.slice(index + number.length);
          const message = problem(() => readMmdetectionConfig(changed, { file: 'c.py', sets: [] }));
          if (message !== undefined) assert.match(message, /^c\.py:\d+: /);
        }
      });
    }
  }

  test('are named with the key of ours', () => {
    const url = new URL('../../src/foreign/mmdetection/fixtures/retinanet_spinenet.py', import.meta.url);
    const text = readFileSync(fileURLToPath(url), 'utf8').replace(/scales_per_octave=\d+/, 'scales_per_octave=100000');
    const line = text.split('\n').findIndex((content) => content.includes('scales_per_octave')) + 1;
    const message = problem(() => readMmdetectionConfig(text, { file: 'c.py', sets: [] }));
    assert.ok(
      message?.startsWith(
        `c.py:${line}: model.bbox_head.scales_per_octave: as model.anchors.scalesPerOctave: got 100000: expected a whole number from 1 to 64`,
      ),
      message,
    );
  });
});
