// Each published file and the config that the list names for it: the model has exactly the parameters that torchvision counts.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { shippedConfig } from '../config/shipped-configs.js';
import { openConfig } from '../foreign/open-config.js';
import { type PublishedWeights, publishedAs, publishedWeights } from '../foreign/torchvision/published-weights.js';
import { type ModuleComplexity, modelComplexity } from '../models/complexity.js';
import { buildModel } from '../models/index.js';

const linear = (...sizes: readonly number[]): number =>
  sizes.slice(1).reduce((sum, size, i) => sum + (sizes[i]! + 1) * size, 0);

/** Parameters of what a classifier has behind its backbone, by torchvision's model. */
const CLASSIFIERS: readonly (readonly [RegExp, number])[] = [
  [/^resnet(18|34)$/, linear(512, 1000)],
  [/^(wide_)?res/, linear(2048, 1000)],
  [/^mobilenet_v2/, linear(1280, 1000)],
  [/^mobilenet_v3_large/, linear(960, 1280, 1000)],
  [/^mobilenet_v3_small/, linear(576, 1024, 1000)],
];

function complexityOf({ config, sets, part, trainedOn }: PublishedWeights): ModuleComplexity {
  const file = shippedConfig(config);
  assert.ok(file !== undefined, config);
  // Norms that learn: a classifier's all do.
  const norm = part === 'backbone' ? ['model.backbone.norm=batch'] : [];
  const { model } = openConfig(file, [...sets, ...norm]).config;
  const classes = part === 'backbone' || trainedOn !== 'COCO 2017, persons' ? 90 : 1;
  return modelComplexity(() => buildModel(model, { classes, keypoints: 17 }), [64, 64]);
}

describe('published weights', () => {
  for (const entry of publishedWeights) {
    test(`${entry.name}: ${entry.parameters} parameters`, () => {
      const whole = complexityOf(entry);
      if (entry.part === 'detector') {
        assert.equal(whole.parameters, entry.parameters);
        return;
      }
      const backbone = whole.children.find(({ name }) => name === 'backbone');
      const body = backbone?.children.find(({ name }) => name === 'body');
      const classifier = CLASSIFIERS.find(([names]) => names.test(entry.name))![1];
      assert.equal(body!.parameters + classifier, entry.parameters);
    });
  }

  test('each has a name of its own, and is found by that of its file too', () => {
    const names = publishedWeights.flatMap(({ name, file }) => [name, file]);
    assert.equal(new Set(names).size, names.length);
    for (const entry of publishedWeights) {
      assert.match(entry.file, /^[a-z0-9_]+-[0-9a-f]{8}\.pth$/);
      assert.equal(publishedAs(entry.file), entry);
      // Four bytes a parameter, but for two files of half precision; some count batches and keep statistics beside them.
      const bytes = (entry.mebibytes * 2 ** 20) / entry.parameters;
      assert.ok((bytes > 3.99 && bytes < 4.1) || (bytes > 1.99 && bytes < 2.05), `${entry.name}: ${bytes}`);
    }
  });
});
