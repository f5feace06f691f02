import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { removeTemporaryFiles } from './atomic-file.js';

test('what a writer leaves behind when it is killed is removed, and nothing else', () => {
  const folder = mkdtempSync(join(tmpdir(), 'goshawk-atomic-'));
  try {
    const kept = ['.notes.tmp', '.profile', 'model.1.tmp', 'model.safetensors'];
    for (const name of kept) writeFileSync(join(folder, name), 'x');
    const writer = `
      import { writeFileAtomically } from ${JSON.stringify(new URL('./atomic-file.js', import.meta.url).href)};
      writeFileAtomically(${JSON.stringify(join(folder, 'new.safetensors'))}, (write) => {
        write(new Uint8Array(10));
        process.kill(process.pid, 'SIGKILL');
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      });`;
    assert.equal(spawnSync(process.execPath, ['--input-type=module', '-e', writer]).signal, 'SIGKILL');
    const left = readdirSync(folder).filter((name) => !kept.includes(name));
    assert.equal(left.length, 1, `${left}`);
    removeTemporaryFiles(folder);
    assert.deepEqual(readdirSync(folder).sort(), kept);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
