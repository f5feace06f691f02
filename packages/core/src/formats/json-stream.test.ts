import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DataIssueList } from './data-issue.js';
import { type JsonPart, readJsonParts } from './json-stream.js';
import { readJson } from './read-json.js';

function* chunksOf(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  // One buffer for all chunks, as a reader of files has.
  const buffer = new Uint8Array(size);
  for (let at = 0; at < bytes.length; at += size) {
    const part = bytes.subarray(at, at + size);
    buffer.set(part);
    yield buffer.subarray(0, part.length);
  }
}

/** The value put together from its parts, and the messages. */
function read(input: string | Uint8Array, size: number, allowUnfinished = false) {
  const issues = new DataIssueList('a.json');
  const bytes = typeof input === 'string' ? new TextEncoder().encode(input) : input;
  const parts = readJsonParts(chunksOf(bytes, size), issues, { allowUnfinished });
  const object: Record<string, unknown> = {};
  let root: unknown;
  for (;;) {
    const { done, value } = parts.next();
    if (done) {
      const isRead = issues.errorCount === 0;
      return { value: isRead ? (value === 'object' ? object : root) : undefined, messages: issues.issues };
    }
    const { key } = value;
    const list = (before: unknown, { entries, isFirst }: JsonPart & { kind: 'entries' }) => [
      ...(isFirst ? [] : (before as unknown[])),
      ...entries,
    ];
    if (key !== undefined) {
      const read = value.kind === 'entries' ? list(object[key], value) : value.value;
      // Plain assignment to __proto__ would be lost.
      Object.defineProperty(object, key, { value: read, enumerable: true, writable: true, configurable: true });
    } else root = value.kind === 'entries' ? list(root, value) : value.value;
  }
}

function readWhole(input: string | Uint8Array) {
  const issues = new DataIssueList('a.json');
  return { value: readJson(input, issues), messages: issues.issues };
}

const texts = [
  '[]',
  ' [ ] ',
  '{}',
  '{ }\n',
  '3',
  '"a"',
  'null',
  '[1,[2,[3]],{"a":"]}\\"\\\\"},"é日😀"]',
  '{"info": {"x": [1, "y}"]}, "images": [{"id": 1}, {"id": 2}], "n": 1.5e3, "annotations": [], "s": "a,b:c"}',
  '{"": [1], "1": [2], "__proto__": [3], "images": [1], "images": [2, 3]}',
  '{"a": [\n {"b": NaN},\n -Infinity, "NaN"]}',
  '[NaN, 1]',
];

describe('JSON in chunks', () => {
  test('is the value that it is whole, for chunks of every size', () => {
    for (const text of texts) {
      for (let size = 1; size <= text.length + 3; size++) assert.deepEqual(read(text, size), readWhole(text), text);
    }
  });

  test('may have a byte order mark, or be UTF-16', () => {
    const text = '[{"name": "é日😀"}, 2]';
    const utf16 = Buffer.from(`\uFEFF${text}`, 'utf16le');
    for (const bytes of [Buffer.from(`\uFEFF${text}`), utf16, Buffer.from(utf16).swap16()]) {
      for (let size = 1; size <= bytes.length; size++) assert.deepEqual(read(bytes, size).value, JSON.parse(text));
    }
    const notText = 'a.json: is not text (expected UTF-8): convert it, or check that it is the right file';
    for (const bytes of [Buffer.of(0x5b, 0x22, 0xff, 0x22, 0x5d), utf16.subarray(0, utf16.length - 1)])
      assert.deepEqual(
        read(bytes, 2).messages.map(({ message }) => message),
        [notText],
      );
  });

  test('that is changed at any place has the fault that it has whole', () => {
    const characters = [',', ':', '"', '{', '}', '[', ']', ' ', '\n', '0', '-', 't', '\\', '\u0001', 'é', "'", ''];
    for (const text of ['[{"a":"x,y"},\n [1,2], 3 ]', '{"i":[{"a":1},\n2], "n":{"b":[]}, "j":[]}']) {
      for (let at = 0; at < text.length; at++) {
        for (const character of characters) {
          const changed = text.slice(0, at) + character + text.slice(at + 1);
          for (const size of [1, 2, 3, 7, 64]) assert.deepEqual(read(changed, size), readWhole(changed), changed);
        }
        const cut = text.slice(0, at);
        for (const size of [1, 5, 64]) assert.deepEqual(read(cut, size), readWhole(cut), cut);
      }
    }
  });

  test('whose list has no end is read to its last whole entry where that is allowed', () => {
    const text = '[\n{"a": 1},\n{"b": "]"},\n[3]\n]\n';
    for (let end = 1; end < text.length - 2; end++) {
      const { value, messages } = read(text.slice(0, end), 4, true);
      const whole = [{ a: 1 }, { b: ']' }, [3]].filter((_, i) => end >= text.indexOf(['}', '},\n[', ']\n]\n'][i]!) + 1);
      assert.deepEqual(value, whole, text.slice(0, end));
      assert.equal(messages.length, 1);
      assert.match(
        messages[0]!.message,
        /^a\.json: was not finished: it ends in the middle, at line \d, column \d+; what is whole/,
      );
    }
    assert.match(read('[1, 2, oops', 4, true).messages[0]!.message, /got 'oops'/);
    assert.match(read('[1, 2', 4).messages[0]!.message, /it ends in the middle/);
    assert.match(read('{"a": [1, 2', 4, true).messages[0]!.message, /is not JSON: it ends in the middle/);
  });
});
