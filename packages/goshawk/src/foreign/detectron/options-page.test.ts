import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { watchedSettings } from '../../testing/watched-settings.js';
import { type Key, keysOf } from '../shared/key-kinds.js';
import { readYamlSettings } from '../shared/yaml-settings.js';
import { shippedConfigs } from './fixtures/shipped-configs.js';
import { detectronKeys } from './keys.js';
import { detectronOptionsPage } from './options-page.js';
import { translateModel } from './translate-model.js';
import { translateData, translateInference, translatePreprocess, translateTrain } from './translate-run.js';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const page = read('../../../../../docs/detectron-options.md');
// Names of the originals' keys by their groups, the retired ones that Detectron takes included; see fixtures/README.md.
const originals: Readonly<Record<string, Readonly<Record<string, string>>>> = JSON.parse(
  read('../../../src/foreign/detectron/fixtures/original-keys.json'),
);

describe('docs/detectron-options.md', () => {
  test('is made from the keys: else run scripts/write-detectron-options.mjs', () => {
    assert.equal(page, detectronOptionsPage());
  });

  for (const [original, groups] of Object.entries(originals)) {
    test(`has every key of ${original}'s defaults file`, () => {
      const names = Object.entries(groups).flatMap(([group, keys]) =>
        keys.split(' ').map((key) => (group === '' ? key : `${group}.${key}`)),
      );
      assert.ok(names.length > 200);
      assert.deepEqual(
        names.filter((name) => !page.includes(`| \`${name}\` |`)),
        [],
      );
    });
  }
});

describe('a key', () => {
  const sets = (...given: string[]) =>
    given.map((one) => ({ path: one.split('=')[0]!.split('.'), text: one.split('=')[1]! }));
  const everyBranch = [
    sets(),
    sets('MODEL.NUM_CLASSES=4', 'MODEL.FASTER_RCNN=False', 'TRAIN.ASPECT_CROPPING=True', 'RPN.OUT_DIM_AS_IN_DIM=False'),
    sets(
      'RESNETS.IMAGENET_PRETRAINED_WEIGHTS=',
      'TEST.SOFT_NMS.ENABLED=True',
      'TEST.BBOX_VOTE.ENABLED=True',
      'SOLVER.LR_POLICY=step',
    ),
    sets('TEST.BBOX_AUG.ENABLED=True', 'TEST.MASK_AUG.ENABLED=True', 'TEST.KPS_AUG.ENABLED=True'),
    sets('SOLVER.LR_POLICY=steps_with_lrs', 'SOLVER.STEPS=(0, 10)', 'SOLVER.LRS=(0.1, 0.01)'),
  ];
  const seen = new Set<string>();
  for (const { name, text } of shippedConfigs.filter(({ isBroken }) => !isBroken)) {
    for (const set of everyBranch) {
      const read = readYamlSettings(text, detectronKeys, { file: name, sets: set });
      const settings = watchedSettings(detectronKeys.tree, read, seen);
      translateModel(settings, []);
      translatePreprocess(settings);
      translateData(settings, []);
      translateTrain(settings);
      translateInference(settings);
    }
  }
  const pathsOf = (...effects: readonly Key['effect'][]): string[] =>
    keysOf(detectronKeys.tree).flatMap(([path, { effect }]) => (effects.includes(effect) ? [path] : []));

  test('that works is one that the translation reads', () => {
    assert.deepEqual(
      pathsOf('used').filter((path) => !seen.has(path)),
      [],
    );
  });

  test('without effect is one that it does not read', () => {
    assert.deepEqual(
      pathsOf('none', 'settled').filter((path) => seen.has(path)),
      [],
    );
  });
});
