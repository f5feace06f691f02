// Models that are valid key by key and that no machine holds: refused from shapes alone, by the key that decides.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { parseConfig, placeInSource } from '../config/index.js';
import { processorMs } from '../testing/processor-time.js';
import { checkModel } from './check-model.js';

function problem(text: string, { batchSize = 1 } = {}): string | undefined {
  const source = { file: 'a.yaml', text, sets: [] };
  const started = processorMs();
  try {
    checkModel(parseConfig(text, source), {
      classes: 80,
      batchSize,
      where: (path) => placeInSource(path, source, true),
    });
    return undefined;
  } catch (error) {
    assert.ok(error instanceof InputError, String(error));
    return error.message;
  } finally {
    assert.ok(processorMs() - started < 10_000, 'a second on a quiet machine, and no memory');
  }
}

describe('a model that no machine holds is refused', () => {
  for (const [model, key, what] of [
    ['type: mask_rcnn, backbone: { width: 512, depth: 152 }', 'model.backbone.width', 'parameters'],
    ['type: faster_rcnn, boxHead: { hiddenSize: 16384, poolSize: 64 }', 'model.boxHead.hiddenSize', 'parameters'],
    ['type: retinanet, head: { channels: 16384, convolutions: 64 }', 'model.head.channels', 'parameters'],
    ['type: retinanet, backbone: { type: spinenet, widthScale: 16 }', 'model.backbone.widthScale', 'parameters'],
    ['type: retinanet, classes: 100000', 'model.classes', 'parameters'],
    [
      'type: faster_rcnn, neck: { type: none }, anchors: { sizes: [[32, 64]] }, boxHead: { kind: stage5, poolSize: 14 }, backbone: { width: 512 }, classes: 30000',
      'model.classes',
      'parameters',
    ],
    ['type: rpn, neck: { channels: 16384 }', 'model.neck.channels', 'parameters'],
    [
      'type: faster_rcnn, boxHead: { poolSize: 64, hiddenSize: 8, maxDetections: 100000 }, rpn: { postNmsTopN: { test: 100000 } }',
      'model.',
      'numbers of an image',
    ],
  ] as const) {
    test(`${model}: by ${key}`, () => {
      const message = problem(`model: { ${model} }`) ?? '';
      assert.ok(message.startsWith(`a.yaml:1: ${key}`), message);
      assert.ok(message.includes(what), message);
    });
  }

  test('with its batch, in training', () => {
    const text = 'model: { type: faster_rcnn }\ntrain:\n  batchSize: 4096\n';
    assert.equal(problem(text), undefined);
    assert.match(
      problem(text, { batchSize: 4096 }) ?? '',
      /^a\.yaml:3: train\.batchSize: got 4096: .* more than \d+: /,
    );
  });

  test('by the line of the --set that makes it so', () => {
    const source = { file: 'a.yaml', text: 'model: { type: rpn }', sets: ['model.neck.channels=16384'] };
    const config = parseConfig(source.text, source);
    const check = () =>
      checkModel(config, { classes: 80, batchSize: 1, where: (path) => placeInSource(path, source, true) });
    assert.throws(check, { message: /^--set model\.neck\.channels=16384: model\.neck\.channels: makes a model of/ });
  });
});

test('the largest published models are taken', () => {
  for (const model of [
    'type: mask_rcnn, backbone: { depth: 152, groups: 32, widthPerGroup: 8 }',
    'type: mask_rcnn, backbone: { depth: 101, groups: 32, widthPerGroup: 32 }',
    'type: retinanet, backbone: { type: spinenet, variant: "190" }',
    'type: mask_rcnn, classes: 13204',
  ])
    assert.equal(problem(`model: { ${model} }`), undefined, model);
});
