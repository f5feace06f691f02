import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { tinyConfig, tinyDetector } from '../testing/tiny-detector.js';
import { writeWeights } from '../train/checkpoint.js';
import { scoreThresholdRule } from './score-threshold.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-score-threshold-'));
after(() => rmSync(folder, { recursive: true }));
const categories = [
  { id: 7, name: 'cat' },
  { id: 9, name: 'dog' },
];
const thresholds = {
  iouThreshold: 0.5,
  overall: { score: 0.4 },
  perCategory: [{ name: 'cat', score: 0.25 }, { name: 'dog' }],
};

describe('the score from which predict keeps detections', () => {
  const kept = (text: string | undefined, weights = 'none.pth') => {
    const { keeps } = scoreThresholdRule(text, weights)(categories);
    return [7, 9].map((categoryId) => [0.2, 0.3, 0.45, 0.6].filter((score) => keeps({ categoryId, score })));
  };
  const both = (scores: number[]) => [scores, scores];

  test('is 0.5, or the number that is given', () => {
    assert.deepEqual(kept(undefined), both([0.6]));
    assert.deepEqual(kept('0.45'), both([0.45, 0.6]));
  });

  test('best is what the weights remember: of each category, of all together where there is none', () => {
    const weights = join(folder, 'best.safetensors');
    writeWeights(weights, tinyDetector(), { config: tinyConfig(), categories, thresholds });
    assert.deepEqual(kept('best', weights), [
      [0.3, 0.45, 0.6],
      [0.45, 0.6],
    ]);
  });

  test('a metrics.json has them too', () => {
    const file = join(folder, 'metrics.json');
    writeFileSync(file, JSON.stringify({ bbox: { AP: 1 }, errors: { thresholds } }));
    assert.deepEqual(kept(file), [
      [0.3, 0.45, 0.6],
      [0.45, 0.6],
    ]);
  });

  test('anything else says what there is', () => {
    const bare = join(folder, 'bare.safetensors');
    writeWeights(bare, tinyDetector(), { config: tinyConfig(), categories });
    const empty = join(folder, 'empty.json');
    writeFileSync(empty, '{}');
    for (const [text, weights, message] of [
      ['1.5', bare, /^--score-threshold 1.5: expected 0 to 1, best, or a metrics.json/],
      ['good', bare, /^--score-threshold good: expected/],
      ['best', bare, /remembers no evaluation .* goshawk eval --output measured/],
      [empty, bare, /has no errors.thresholds/],
      [join(folder, 'missing.json'), bare, /missing.json: /],
    ] as const)
      assert.throws(
        () => scoreThresholdRule(text, weights),
        (error) => error instanceof InputError && message.test(error.message),
        text,
      );
  });
});
