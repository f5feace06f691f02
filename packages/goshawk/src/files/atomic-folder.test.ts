import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { writeFolderAtomic } from './atomic-folder.js';
import { LOCK_NAME } from './run-lock.js';

describe('writeFolderAtomic', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'goshawk-atomic-folder-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('a folder that fails half way leaves nothing', async () => {
    const target = path.join(folder, 'scenes');
    const failing = writeFolderAtomic(target, async (partial) => {
      writeFileSync(path.join(partial, '1.png'), '');
      assert.ok(!existsSync(target));
      throw new Error('stopped');
    });
    await assert.rejects(failing, { message: 'stopped' });
    assert.deepEqual(readdirSync(folder), []);
  });

  test('a folder appears with all its files, and never over one that is there', async () => {
    const target = path.join(folder, 'scenes');
    const fill = async (partial: string) => writeFileSync(path.join(partial, '1.png'), '');
    await writeFolderAtomic(target, fill);
    assert.deepEqual(readdirSync(target), ['1.png']);
    await assert.rejects(writeFolderAtomic(target, fill), {
      message: `${target}: is there already: name a new folder or remove it`,
    });
  });

  test('what a killed process left of it is cleared away', async () => {
    const partial = path.join(folder, 'scenes.partial');
    mkdirSync(partial);
    writeFileSync(path.join(partial, 'half.png'), '');
    // No process has this number.
    writeFileSync(
      path.join(partial, LOCK_NAME),
      JSON.stringify({ pid: 2 ** 30, host: hostname(), since: '', work: '' }),
    );
    await writeFolderAtomic(path.join(folder, 'scenes'), async (into) => writeFileSync(path.join(into, '1.png'), ''));
    assert.deepEqual(readdirSync(folder), ['scenes']);
    assert.deepEqual(readdirSync(path.join(folder, 'scenes')), ['1.png']);
  });

  test("a person's own folder of that name stays", async () => {
    mkdirSync(path.join(folder, 'scenes.partial'));
    const failing = writeFolderAtomic(path.join(folder, 'scenes'), async () => assert.fail('began'));
    await assert.rejects(failing, { message: /scenes\.partial: is in the way of .*scenes: move it away$/ });
    assert.deepEqual(readdirSync(folder), ['scenes.partial']);
  });
});
