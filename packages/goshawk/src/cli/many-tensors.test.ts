// Checkpoints of 150,000 tensors: a list of that length fits no call's arguments, and quadratic work would take hours.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../bin/goshawk.js', import.meta.url));
const TENSORS = 150_000;
let folder = '';

/** Each command takes some seconds; the limit is for a machine that is busy with other things. */
function goshawk(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 120_000,
    maxBuffer: 256 * 1024 * 1024,
  });
  assert.equal(status, 0, stderr);
  return stdout;
}

/** One number each, the tensor's own. */
function safetensorsBytes(): Buffer {
  const header = Array.from({ length: TENSORS }, (_, i) => {
    return `"layer${i}.weight":{"dtype":"F32","shape":[1],"data_offsets":[${4 * i},${4 * i + 4}]}`;
  });
  const json = Buffer.from(`{${header.join(',')}}`);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, new Uint8Array(Float32Array.from({ length: TENSORS }, (_, i) => i).buffer)]);
}

/** As numpy's arrays are pickled by protocol 1, in a dict as Detectron's. */
function pickleBytes(): Buffer {
  const arrays = Array.from({ length: TENSORS }, (_, i) => {
    const name = `layer${i}_w`;
    const array =
      'cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\x01btR(K\x01(K\x01tcnumpy\ndtype\n(U\x02f4K\x00K\x01tR\x89U\x04\0\0\x80?tb';
    return `U${String.fromCharCode(name.length)}${name}${array}`;
  });
  return Buffer.from(`}U\x05blobs}(${arrays.join('')}us.`, 'latin1');
}

before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'goshawk-many-tensors-'));
  writeFileSync(path.join(folder, 'many.safetensors'), safetensorsBytes());
  writeFileSync(path.join(folder, 'many.pkl'), pickleBytes());
});

after(() => rmSync(folder, { recursive: true }));

describe('goshawk weights on 150,000 tensors', () => {
  test('shows those of a safetensors file', () => {
    const shown = goshawk('weights', 'show', 'many.safetensors');
    assert.match(shown, /^layer0\.weight {7}float32 {2}\[1\]\n/);
    assert.match(shown, /many\.safetensors: safetensors, 150000 tensors, 150000 numbers, 600 kB/);
  });

  test('shows those of a pickle', () => {
    assert.match(goshawk('weights', 'show', 'many.pkl'), /150000 tensors, under blobs, 150000 numbers/);
  });

  test('converts them to a .pth file, which reads back the same', () => {
    assert.match(goshawk('weights', 'convert', 'many.safetensors', 'many.pth'), /many\.pth: 150000 tensors/);
    goshawk('weights', 'convert', 'many.pth', 'again.safetensors');
    const [numbers, again] = ['many.safetensors', 'again.safetensors'].map((name) =>
      readFileSync(path.join(folder, name)).subarray(-4 * TENSORS),
    );
    assert.ok(numbers!.equals(again!));
  });
});
