// What is read of Python, and how everything else is refused.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { type PythonEntry, type PythonValue, readPythonData } from './python-data.js';

function plainOf({ content }: PythonValue): unknown {
  switch (content.kind) {
    case 'plain':
      return content.value;
    case 'list':
      return content.items.map(plainOf);
    case 'dict':
      return Object.fromEntries([...content.entries].map(([key, { value }]) => [key, plainOf(value)]));
  }
}

const namesOf = (entries: ReadonlyMap<string, PythonEntry>): Record<string, unknown> =>
  Object.fromEntries([...entries].map(([name, { value }]) => [name, plainOf(value)]));
const read = (text: string): Record<string, unknown> => namesOf(readPythonData(text, 'config.py'));

// What Python 3 assigns to x.
const VALUES: readonly (readonly [string, unknown])[] = [
  ['x = dict(a=1, b=dict(c=[1, (2,)]))', { a: 1, b: { c: [1, [2]] } }],
  ["x = {'a': 1, 'b': {'c': None}, 3: True}", { a: 1, b: { c: null }, 3: true }],
  ['x = dict()', {}],
  ['x = 1.0 / 9.0', 1 / 9],
  ['x = 0.02 / 8 * 4 + 1 - 2', 0.02 / 2 - 1],
  ['x = 7 // 2 % 2', 1],
  ['x = -7 % 3', 2],
  ['x = -(2 + 3)', -5],
  ['x = .5', 0.5],
  ['x = 1_000', 1000],
  ['x = 0x1F', 31],
  ['x = \'a\' + "b"', 'ab'],
  ["x = 'one ' 'text'", 'one text'],
  ['x = """two\nlines"""', 'two\nlines'],
  ["x = 'it\\'s\\n'", "it's\n"],
  ["x = r'a\\n'", 'a\\n'],
  ['x = 1, 2', [1, 2]],
  ['x = (1)', 1],
  ['x = [\n  1,  # one\n  2,\n]', [1, 2]],
  ['x = [1] + [2, 3]', [1, 2, 3]],
  ['x = 1 + \\\n  2', 3],
  ['"""A docstring."""\nx = 1; y = 2', 1],
  ['y = dict(a=1)\nx = dict(b=y, **y)', { a: 1, b: { a: 1 } }],
  ['y = dict(a=1)\nx = {**y, "c": 3}', { a: 1, c: 3 }],
  ["root = 'data/'\nx = root + 'a.json'", 'data/a.json'],
  ['x = 1\nx = 2', 2],
];

// With the line that is named, and the beginning of what is said.
const REFUSED: readonly (readonly [string, number, string])[] = [
  ['import os', 1, 'an import'],
  ['a = 1\nfrom x import y', 2, 'an import'],
  ['a = 1\n\na = foo(1)', 3, 'a call of foo()'],
  ["a = __import__('os')", 1, 'a call of __import__()'],
  ['a = [b for b in c]', 1, 'a comprehension'],
  ['a = 1 if True else 2', 1, 'a condition'],
  ['if True:\n  a = 1', 1, 'a condition'],
  ['for a in b:\n  pass', 1, 'a loop'],
  ['def f():\n  pass', 1, 'a function'],
  ['a = lambda: 1', 1, 'a function'],
  ['@b\ndef f(): pass', 1, 'no assignment'],
  ['a = dict(b=1)\na.b = 2', 2, 'no plain assignment to a name'],
  ['a += 1', 1, 'no plain assignment to a name'],
  ["b = dict(c=1)\na = b['c']", 2, 'a part of b'],
  ['a = b.c', 1, 'a part of b'],
  ['a = 2 ** 3', 1, "something after the value ('**')"],
  ["a = f'{b}'", 1, 'a text with f in front'],
  ["a = b'x'", 1, 'a text with b in front'],
  ['a = b', 1, 'b is not assigned above'],
  ['a = dict(b=1, b=2)', 1, 'b is given twice'],
  ['a = dict([(1, 2)])', 1, 'dict() takes name=value'],
  ['a = 1 / 0', 1, '1 / 0 is no number'],
  ["a = 'b' * 3", 1, "'*' stands between values that it does not go with"],
  ["a = 'b' + 3", 1, "'+' stands between values that it does not go with"],
  ["a = -'b'", 1, "'-' stands before what is no number"],
  ['a = {1, 2}', 1, 'a set'],
  ['a = [1 2]', 1, "expected ',' or ']'"],
  ['a = dict(\n  b=1\n  c=2)', 3, "expected ',' or ')' before c"],
  ['a = (1,\n', 1, "'(' is never closed"],
  ['a = (1]', 1, "']' does not close the '(' of line 1"],
  ['a = 1)', 1, "')' closes nothing"],
  ["a = 'b\nc = 1", 1, 'a text has no end'],
  ['a =', 1, 'a value is missing'],
  ['a = $', 1, "'$' is no sign of Python"],
  ['a = **b', 1, "'**' in the place of a value"],
  [`a = ${'('.repeat(9000)}1${')'.repeat(9000)}`, 1, 'is nested too deeply'],
  [`a = ${'-'.repeat(9000)}1`, 1, 'is nested too deeply'],
  [`a = 'xxxxxxxx'\n${'a = a + a\n'.repeat(60)}`, 15, 'the text becomes too long'],
];

describe('readPythonData', () => {
  for (const [text, value] of VALUES)
    test(`reads ${JSON.stringify(text)}`, () => assert.deepEqual(read(text).x, value));

  for (const [text, line, beginning] of REFUSED) {
    test(`refuses ${JSON.stringify(text.slice(0, 40))} with its line`, () => {
      assert.throws(
        () => read(text),
        (error) => {
          assert.ok(error instanceof InputError);
          assert.ok(error.message.startsWith(`config.py:${line}: ${beginning}`), error.message);
          assert.doesNotMatch(error.message, /\n/);
          return true;
        },
      );
    });
  }

  test('what a name stands for follows the name', () => {
    const text = "root = 'data/'\npath = root + 'a.json'";
    const other: PythonValue = { line: 0, content: { kind: 'plain', value: '/disk/' } };
    assert.deepEqual(namesOf(readPythonData(text, 'config.py', new Map([['root', other]]))), {
      root: '/disk/',
      path: '/disk/a.json',
    });
  });

  test('lists in lists of themselves take no more memory than they are long', () => {
    const text = `a = [1]\n${'a = [a, a, a, a, a, a, a, a]\n'.repeat(60)}`;
    assert.equal(readPythonData(text, 'config.py').size, 1);
  });
});
