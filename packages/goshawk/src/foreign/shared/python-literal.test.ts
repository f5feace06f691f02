import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parsePythonLiteral } from './python-literal.js';

// What ast.literal_eval of Python 3 gives.
const LITERALS: readonly (readonly [string, unknown])[] = [
  ['800', 800],
  ['-3', -3],
  ['1e-2', 0.01],
  ['.5', 0.5],
  ['2.', 2],
  ['1_000', 1000],
  ['True', true],
  ['None', null],
  ["'True'", 'True'],
  ['"a \\"b\\""', 'a "b"'],
  ['(800,)', [800]],
  ['(800)', 800],
  ['()', []],
  ['(4.0, 6.0)', [4, 6]],
  ['400, 500', [400, 500]],
  ['[[0, 1], (2,)]', [[0, 1], [2]]],
  ["{'a': 1, 'b': (2,)}", { a: 1, b: [2] }],
  [' ( 1 , 2 , ) ', [1, 2]],
];
const OTHERS = [
  '',
  'ResNet.conv',
  'true',
  '1/3',
  '(1 2)',
  '(1',
  '[1]]',
  "'open",
  '__import__("os")',
  '{1}',
  '('.repeat(9999),
];

describe('parsePythonLiteral', () => {
  for (const [text, value] of LITERALS) {
    test(`reads ${text}`, () => assert.deepEqual(parsePythonLiteral(text), value));
  }
  for (const text of OTHERS) {
    test(`takes ${text.slice(0, 20) || 'an empty text'} for no literal`, () =>
      assert.equal(parsePythonLiteral(text), undefined));
  }
});
