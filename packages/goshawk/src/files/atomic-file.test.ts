import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { writeFileAtomic } from './atomic-file.js';

describe('writing', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'goshawk-atomic-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('a file makes its folder and replaces what was there', () => {
    const file = path.join(folder, 'a', 'b.json');
    writeFileAtomic(file, 'one');
    writeFileAtomic(file, Buffer.from('two'));
    assert.equal(readFileSync(file, 'utf8'), 'two');
    assert.deepEqual(readdirSync(path.dirname(file)), ['b.json']);
  });

  test('a file where a folder stands leaves the folder and nothing else', () => {
    const target = path.join(folder, 'taken');
    mkdirSync(target);
    assert.throws(() => writeFileAtomic(target, 'x'), { message: `${target}: is a folder: name a file` });
    writeFileSync(path.join(folder, 'file'), '');
    const below = path.join(folder, 'file', 'x.json');
    assert.throws(() => writeFileAtomic(below, 'x'), {
      message: `${below}: a part of its path is a file, not a folder: choose another place`,
    });
    assert.deepEqual(readdirSync(folder), ['file', 'taken']);
  });
});
