// Whatever stands in a file that looks like Detectron's: a config, or one line about what is wrong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InputError } from '@goshawk/core';
import fc from 'fast-check';
import { readDetectronConfig } from './config.js';
import { shippedConfigs } from './fixtures/shipped-configs.js';

function readOrRefuse(text: string, sets: readonly string[] = []): void {
  try {
    readDetectronConfig(text, { file: 'a.yaml', sets });
  } catch (error) {
    assert.ok(error instanceof InputError, `${(error as Error).stack}`);
    assert.ok(!error.message.includes('\n'), error.message);
  }
}

const values = [
  '',
  '0',
  '-1',
  '1e9',
  '.',
  '[]',
  '{}',
  '()',
  "'x'",
  'True',
  'null',
  '[[1]]',
  '(1, "a")',
  '&a [*a]',
  '!!binary x',
  '1:30',
  '9'.repeat(400),
];

test('texts with a line or a value exchanged', () => {
  const line = fc.record({
    config: fc.constantFrom(...shippedConfigs),
    at: fc.nat(60),
    change: fc.oneof(
      fc.constantFrom(...values).map((value) => ({ value })),
      fc.string().map((text) => ({ text })),
    ),
  });
  fc.assert(
    fc.property(line, ({ config, at, change }) => {
      const lines = config.text.split('\n');
      const index = at % lines.length;
      lines[index] = 'value' in change ? lines[index]!.replace(/:.*/, `: ${change.value}`) : change.text;
      readOrRefuse(lines.join('\n'));
    }),
    { numRuns: 300 },
  );
});

test('any --set', () => {
  const key = fc.constantFrom(
    'TRAIN.SCALES',
    'MODEL.CONV_BODY',
    'TEST',
    'PIXEL_MEANS',
    'SOLVER.STEPS',
    'X.Y',
    'data.train',
    '__proto__.x',
    'A.__proto__',
  );
  const text = shippedConfigs[0]!.text;
  fc.assert(
    fc.property(key, fc.oneof(fc.constantFrom(...values), fc.string()), (name, value) =>
      readOrRefuse(text, [`${name}=${value}`]),
    ),
    { numRuns: 200 },
  );
});

test('depth, references and sizes without measure', () => {
  const bomb = Array.from({ length: 12 }, (_, i) => `&a${i} [${i === 0 ? '1' : `*a${i - 1},`.repeat(12)}]`);
  readOrRefuse(`TRAIN:\n  SCALES: ${'['.repeat(50_000)}`);
  readOrRefuse(`TRAIN:\n${bomb.map((value, i) => `  X${i}: ${value}`).join('\n')}\n`);
  readOrRefuse(`TRAIN:\n  SCALES: "${'('.repeat(100_000)}"\n`);
  readOrRefuse(shippedConfigs[0]!.text.replace('MAX_SIZE: 1333', 'MAX_SIZE: 1e300'));
  readOrRefuse(shippedConfigs[0]!.text, [
    'SOLVER.LR_POLICY=step',
    'SOLVER.MAX_ITER=1000000000000',
    'SOLVER.STEP_SIZE=1',
  ]);
  readOrRefuse(shippedConfigs[0]!.text, ['FPN.RPN_MAX_LEVEL=1000000000']);
  const keypoints = shippedConfigs.find(({ name }) => name.includes('keypoint'))!.text;
  readOrRefuse(keypoints, ['KRCNN.NUM_STACKED_CONVS=100000000000']);
  readOrRefuse(`${keypoints}PIXEL_MEANS: &means [*means]\n`);
});
