import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { watchedSettings } from '../../testing/watched-settings.js';
import { type Key, keysOf } from '../shared/key-kinds.js';
import { readYamlSettings } from '../shared/yaml-settings.js';
import { shippedConfigs, zooConfigs } from './fixtures/shipped-configs.js';
import { maskrcnnKeys } from './keys.js';
import { maskrcnnOptionsPage } from './options-page.js';
import { readPathsCatalog } from './paths-catalog.js';
import { translateModel } from './translate-model.js';
import {
  translateData,
  translateInference,
  translatePreprocess,
  translateRuntime,
  translateTrain,
} from './translate-run.js';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const page = read('../../../../../docs/maskrcnn-benchmark-options.md');
// Names of the keys in config/defaults.py by their groups; see fixtures/README.md.
const originals: Readonly<Record<string, Readonly<Record<string, string>>>> = JSON.parse(
  read('../../../src/foreign/maskrcnn-benchmark/fixtures/original-keys.json'),
);

describe('docs/maskrcnn-benchmark-options.md', () => {
  test('is made from the keys: else run scripts/write-maskrcnn-options.mjs', () => {
    assert.equal(page, maskrcnnOptionsPage());
  });

  test('has every key of the defaults files and no other', () => {
    const names = Object.values(originals).flatMap((groups) =>
      Object.entries(groups).flatMap(([group, keys]) =>
        keys.split(' ').map((key) => (group === '' ? key : `${group}.${key}`)),
      ),
    );
    const own = keysOf(maskrcnnKeys.tree).map(([path]) => path);
    assert.deepEqual(own.toSorted(), [...new Set(names)].sort());
    for (const name of own) assert.ok(page.includes(`| \`${name}\` |`), name);
  });
});

describe('a key', () => {
  const sets = (...given: string[]) =>
    given.map((one) => ({ path: one.split('=')[0]!.split('.'), text: one.split('=')[1]! }));
  const everyBranch = [
    sets(),
    sets(
      'MODEL.DEVICE=cpu',
      'TEST.BBOX_AUG.ENABLED=True',
      'MODEL.ROI_BOX_HEAD.NUM_CLASSES=4',
      'MODEL.RETINANET.NUM_CLASSES=4',
    ),
    sets('MODEL.RESNETS.BACKBONE_OUT_CHANNELS=256', 'MODEL.BACKBONE.OUT_CHANNELS=256'),
  ];
  const seen = new Set<string>();
  const texts = [...shippedConfigs.map(({ text }) => text), ...Object.values(zooConfigs)];
  const catalog = readPathsCatalog('');
  for (const text of texts) {
    for (const set of everyBranch) {
      const plain = readYamlSettings(text, maskrcnnKeys, { file: 'a.yaml', sets: set });
      const settings = watchedSettings(maskrcnnKeys.tree, plain, seen);
      try {
        translateModel(settings, catalog, []);
      } catch {
        // A body without a pyramid has other channels than the last set's.
      }
      translatePreprocess(settings);
      translateData(settings, catalog, []);
      translateTrain(settings);
      translateInference(settings);
      translateRuntime(settings);
    }
  }
  // Read with the file, before anything is translated.
  seen.add('PATHS_CATALOG');
  const pathsOf = (...effects: readonly Key['effect'][]): string[] =>
    keysOf(maskrcnnKeys.tree).flatMap(([path, { effect }]) => (effects.includes(effect) ? [path] : []));

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
