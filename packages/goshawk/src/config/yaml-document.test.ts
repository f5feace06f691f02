import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readYaml } from './yaml-document.js';

const keys = (count: number) => Array.from({ length: count }, (_, i) => `key${i}: ${i}`).join('\n');

describe('a key that stands twice', () => {
  const problem = (text: string) => {
    const { error } = readYaml(text);
    return error && `${error.line}: ${error.message}`;
  };

  test('is an error at its second place, wherever the mapping is', () => {
    assert.equal(problem('a: 1\nb:\n  - {c: 1, d: 2, c: 3}\n'), '3: c is given twice, first on line 3');
    assert.equal(problem('{"a": {"x": 1,\n "y": 2,\n "x": 3}}'), '3: x is given twice, first on line 1');
    assert.equal(problem('1: a\n1: b\n'), '2: 1 is given twice, first on line 1');
    assert.equal(problem(`${keys(1000)}\nkey7: 0`), '1001: key7 is given twice, first on line 8');
  });

  test('is none in another mapping, or of another kind', () => {
    assert.equal(problem('a: {x: 1}\nb: {x: 1}\n'), undefined);
    assert.equal(problem('1: a\n"1": b\n'), undefined);
  });
});

test('eight times as many keys take about eight times as long', () => {
  const seconds = (count: number) => {
    const text = keys(count);
    const start = performance.now();
    assert.equal(readYaml(text).error, undefined);
    return performance.now() - start;
  };
  seconds(4000);
  const few = Math.min(seconds(4000), seconds(4000));
  const many = Math.min(seconds(32000), seconds(32000));
  // Comparing each key with all before it would take 64 times as long.
  assert.ok(many / few < 30, `${many / few} times as long`);
});
