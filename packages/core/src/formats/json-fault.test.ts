import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DataIssueList } from './data-issue.js';
import { findJsonFault } from './json-fault.js';
import { readJson } from './read-json.js';

function message(text: string): string {
  const issues = new DataIssueList('a.json');
  assert.equal(readJson(text, issues), undefined, text);
  assert.equal(issues.issues.length, 1);
  return issues.issues[0]!.message.replace('a.json: is not JSON: ', '');
}

describe('a text that is no JSON: its place, what is there, what belongs there, and the remedy', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    [
      'a trailing comma',
      '[{"id": 1},\n {"id": 2},\n]',
      "line 3, column 1: got ']', expected another value behind the comma at line 2, column 11: remove that comma",
    ],
    [
      'a trailing comma in an object',
      '{"a": 1,\n}',
      "line 2, column 1: got '}', expected another key behind the comma at line 1, column 8: remove that comma",
    ],
    [
      "Python's words",
      '{"a": [1, False]}',
      "line 1, column 11: got 'False', expected false: False is Python's word, write the file with json.dump, or write false",
    ],
    ["JavaScript's undefined", '{"a": undefined}', "line 1, column 7: got 'undefined', expected null: write null"],
    [
      'single quotes',
      "{'a': 1}",
      'line 1, column 2: got "\'", expected text in double quotes: write ", not \'; Python\'s str() writes such text, json.dump writes JSON',
    ],
    ['typographic quotes', '["a", “b”]', "line 1, column 7: got '“', expected straight double quotes: write \""],
    [
      'a comment',
      '[1, // one\n2]',
      "line 1, column 5: got '//', expected no comment, which JSON does not have: remove it",
    ],
    [
      'a comment behind a value',
      '{"a": 1 # one\n}',
      "line 1, column 9: got '#', expected no comment, which JSON does not have: remove it",
    ],
    ['a key without quotes', '{id: 1}', 'line 1, column 2: got \'id\', expected a key in double quotes: write "id"'],
    ['a number as key', '{1: 2}', 'line 1, column 2: got \'1\', expected a key in double quotes: write "1"'],
    [
      'a tab in a string',
      '["a\tb"]',
      'line 1, column 4: got a tab, expected \\t in a string which starts at line 1, column 2: write \\t',
    ],
    [
      'a string without its end',
      '{"name": "cat,\n "id": 1}',
      "line 1, column 15: got a line break, expected '\"' at the end of the string which starts at line 1, column 10: close the string, or write \\n",
    ],
    [
      "a backslash of Windows' paths",
      '["C:\\data\\1.jpg"]',
      "line 1, column 5: got '\\d', expected a backslash only in \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u: write a backslash in a string as \\\\, and folders with /",
    ],
    [
      'a missing comma',
      '[{"a": 1}\n{"b": 2}]',
      "line 2, column 1: got '{', expected ',' or ']': put a comma in front of it, or close the string before it",
    ],
    ['two commas', '[1,,2]', "line 1, column 4: got ',', expected a value: remove the comma, or write null"],
    ['a missing value', '{"a": }', "line 1, column 7: got '}', expected a value: write the value, or null"],
    ['a missing colon', '{"a" = 1}', "line 1, column 6: got '=', expected ':' behind the key: write ':'"],
    [
      'the wrong bracket',
      '{"a": [1, 2}',
      "line 1, column 12: got '}', expected ']' for the list that starts at line 1, column 7: close the list first",
    ],
    [
      'a bracket too many',
      '[1]]',
      "line 1, column 4: got ']', expected nothing behind the end of the value: remove it",
    ],
    [
      'an object a line',
      '{"a": 1}\n{"a": 2}\n',
      "line 2, column 1: got '{', expected nothing behind the end of the value: put several values into one list, with commas between them",
    ],
    [
      'leading zeros',
      '[007]',
      "line 1, column 2: got '007', expected a number such as -0.5 or 1e3: write it without leading zeros",
    ],
    ['a sign', '[+1]', "line 1, column 2: got '+1', expected a number such as -0.5 or 1e3: write it without the +"],
    [
      'a number without its first digit',
      '[.5]',
      "line 1, column 2: got '.5', expected a number such as -0.5 or 1e3: write 0 in front of the point",
    ],
    ['data left out', '[1, 2, ...]', "line 1, column 8: got '...', expected all of the data: write what was left out"],
    ['a space that is none', '[1,\u00a02]', 'line 1, column 4: got the character U+00A0, expected a value: remove it'],
    [
      'zeros that a crash left',
      '[1\0\0]',
      "line 1, column 3: got the character U+0000, expected ',' or ']': remove it",
    ],
    [
      'another kind of file',
      'a,b\n1,2\n',
      "line 1, column 1: got 'a', expected '{' or '[': check that it is the right file",
    ],
    [
      'a mistake behind bare NaN',
      '{"a": NaN, "b": [-Infinity, 1,]}',
      "line 1, column 31: got ']', expected another value behind the comma at line 1, column 30: remove that comma",
    ],
  ];
  for (const [name, text, expected] of cases) test(name, () => assert.equal(message(text), expected));
});

describe('a text that is cut', () => {
  test('says where it ends, and what was open', () => {
    assert.equal(
      message('{"images": [\n  {"id": 1},\n'),
      "it ends in the middle, at line 3, column 1: got the end of the file, expected ']' for the list that starts at line 1, column 12: get a complete copy of the file",
    );
    assert.match(
      message('["ab'),
      /^it ends in the middle, at line 1, column 5: .*a string which starts at line 1, column 2/,
    );
  });

  test('is told from one that is wrong, at every place', () => {
    const text = '{"a": [1.5e+3, -0, true, null, "x\\u00e9\\n"], "b": {"c": [], "d": {}}}';
    assert.equal(findJsonFault(text), undefined);
    for (let end = 1; end < text.length; end++) {
      const fault = findJsonFault(text.slice(0, end));
      assert.equal(fault?.isCut, true, text.slice(0, end));
      assert.equal(fault.index, end);
    }
  });
});

test('texts that the engine reads have no fault, and others have one', () => {
  // A text is changed at each place in turn; the engine's own reader is the judge of what is JSON.
  const text = '{"a":[1.5e+3,-0,true,{"b":null},"x\\u00e9"],"":{}}';
  const characters = [',', ':', '"', '{', '}', '[', ']', ' ', '\n', '0', '-', '.', 'e', 't', '\\', '\u0001', ''];
  for (let at = 0; at < text.length; at++) {
    for (const character of characters) {
      const changed = text.slice(0, at) + character + text.slice(at + 1);
      let isJson = true;
      try {
        JSON.parse(changed);
      } catch {
        isJson = false;
      }
      assert.equal(findJsonFault(changed) === undefined, isJson, changed);
    }
  }
});
