import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type CudaArchitecture, codeFor, readCudaArchitectures } from './cuda-architectures.js';

const folder = mkdtempSync(join(tmpdir(), 'cuda-architectures-'));
after(() => rmSync(folder, { recursive: true }));

type Entry = readonly [kind: 'machine' | 'ptx', capability: number, bytes: number];

/** A fat binary as the compiler writes one: a header, then an entry with its code for each architecture. */
function fatBinary(entries: readonly Entry[]): Buffer {
  const parts = entries.map(([kind, capability, bytes]) => {
    const header = Buffer.alloc(64);
    header.writeUInt16LE(kind === 'ptx' ? 1 : 2, 0);
    header.writeUInt32LE(64, 4);
    header.writeBigUInt64LE(BigInt(bytes), 8);
    header.writeUInt32LE(capability, 28);
    return Buffer.concat([header, Buffer.alloc(bytes, 0xaa)]);
  });
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(0xba55ed50, 0);
  header.writeUInt16LE(1, 4);
  header.writeUInt16LE(16, 6);
  header.writeBigUInt64LE(BigInt(body.length), 8);
  return Buffer.concat([header, body]);
}

/** A 64-bit ELF file with one section of that name beside the names themselves. */
function elf(name: string, content: Buffer): Buffer {
  const names = Buffer.from(`\0.shstrtab\0${name}\0`, 'latin1');
  const header = Buffer.alloc(64);
  header.writeUInt32BE(0x7f454c46, 0);
  header[4] = 2;
  header[5] = 1;
  header.writeBigUInt64LE(BigInt(64 + names.length + content.length), 40);
  header.writeUInt16LE(3, 60);
  header.writeUInt16LE(1, 62);
  const section = (nameAt: number, offset: number, size: number) => {
    const entry = Buffer.alloc(64);
    entry.writeUInt32LE(nameAt, 0);
    entry.writeBigUInt64LE(BigInt(offset), 24);
    entry.writeBigUInt64LE(BigInt(size), 32);
    return entry;
  };
  const sections = [section(0, 0, 0), section(1, 64, names.length), section(11, 64 + names.length, content.length)];
  return Buffer.concat([header, names, content, ...sections]);
}

function fileOf(name: string, content: Buffer): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

test('counts the architectures of all sources, whatever lies between them', () => {
  const content = Buffer.concat([
    fatBinary([
      ['machine', 80, 40],
      ['machine', 90, 8],
      ['ptx', 90, 24],
    ]),
    Buffer.alloc(8),
    fatBinary([
      ['machine', 80, 16],
      ['machine', 90, 0],
    ]),
  ]);
  assert.deepEqual(readCudaArchitectures(fileOf('two.so', elf('.nv_fatbin', content))), [
    { kind: 'machine', capability: 80, sources: 2 },
    { kind: 'machine', capability: 90, sources: 2 },
    { kind: 'ptx', capability: 90, sources: 1 },
  ]);
});

test('a file without such code, or cut off, gives none', () => {
  const whole = elf('.nv_fatbin', fatBinary([['machine', 80, 8]]));
  for (const [name, content] of Object.entries({
    other: elf('.text', Buffer.alloc(64)),
    text: Buffer.from('INPUT(libtorch.so.2)'),
    empty: Buffer.alloc(0),
    cut: whole.subarray(0, whole.length - 100),
  }))
    assert.deepEqual(readCudaArchitectures(fileOf(name, content)), [], name);
});

describe('a card runs', () => {
  const built = (...own: [CudaArchitecture['kind'], number, number?][]): CudaArchitecture[] =>
    own.map(([kind, capability, sources = 10]) => ({ kind, capability, sources }));

  test('machine code of its own major number up to its own minor one', () => {
    const library = built(['machine', 75], ['machine', 80], ['machine', 86], ['machine', 90]);
    for (const capability of [75, 80, 86, 87, 89, 90]) assert.equal(codeFor(capability, library), 'machine');
    for (const capability of [70, 72, 100, 120]) assert.equal(codeFor(capability, library), undefined);
  });

  test('PTX of any earlier architecture', () => {
    assert.equal(codeFor(120, built(['machine', 80], ['ptx', 90])), 'ptx');
    assert.equal(codeFor(86, built(['machine', 80], ['ptx', 90])), 'machine');
    assert.equal(codeFor(75, built(['machine', 80], ['ptx', 90])), undefined);
  });

  test('nothing of what a few sources alone are compiled for', () => {
    assert.equal(codeFor(103, built(['machine', 90, 400], ['machine', 103, 30])), undefined);
  });
});
