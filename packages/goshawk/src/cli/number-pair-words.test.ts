import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinNumberPairs } from './number-pair-words.js';

test('two numbers belong to the option, and what follows does not', () => {
  const cases: readonly (readonly [words: string, joined: string])[] = [
    ['eval --range 0 100 config.yaml', 'eval --range 0:100 config.yaml'],
    ['eval config.yaml --range 0 100 --json', 'eval config.yaml --range 0:100 --json'],
    ['info --shape 640 480 config.yaml', 'info --shape 640x480 config.yaml'],
    ['info --shape 640 config.yaml', 'info --shape 640 config.yaml'],
    ['eval --range -1 2 config.yaml', 'eval --range -1:2 config.yaml'],
    ['eval --range 3 config.yaml', 'eval --range 3 config.yaml'],
    ['predict -- --range 0 1', 'predict -- --range 0 1'],
  ];
  for (const [words, joined] of cases) assert.equal(joinNumberPairs(words.split(' ')).join(' '), joined);
});
