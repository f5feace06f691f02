// The layout and what makes a file invalid: https://github.com/huggingface/safetensors#format
import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type DType, dtypes, itemSize } from '../tensor/dtype.js';
import { bytes, checkpointErrorOf, float32, temporaryFile, temporaryPath } from '../testing/checkpoint-files.js';
import { CheckpointError } from './checkpoint-error.js';
import { openSafetensors, writeSafetensors } from './safetensors.js';
import { readStateDict } from './state-dict.js';

function withHeader(header: string, data: number | Uint8Array = 0): string {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(Buffer.byteLength(header)), true);
  return temporaryFile(
    bytes(length, Buffer.from(header, 'utf8'), typeof data === 'number' ? new Uint8Array(data) : data),
  );
}

test('reads a file written by the letter of the format', () => {
  const file = openSafetensors(
    withHeader(
      '{"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}   ',
      bytes(0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 1, 2, 3),
    ),
  );
  assert.deepEqual(file.names, ['b', 'a']);
  assert.equal(file.metadata.get('format'), 'pt');
  assert.deepEqual(file.info('a'), { dtype: 'float32', shape: [1, 2], byteLength: 8 });
  assert.deepEqual([...new Float32Array(file.read('a').data.buffer as ArrayBuffer)], [1, -2]);
  assert.deepEqual([...file.read('b').data], [1, 2, 3]);
  file.close();
  assert.match(checkpointErrorOf(() => file.read('a'), 'file-unreadable').message, /closed/);
});

test('what is written is read again: all element types, any shape, any name', () => {
  const target = temporaryPath('round-trip.safetensors');
  const shapes = fc.array(fc.nat({ max: 4 }), { maxLength: 4 });
  const entries = fc.uniqueArray(
    fc.record({ name: fc.string(), dtype: fc.constantFrom<DType>(...dtypes), shape: shapes }),
    { selector: (entry) => entry.name, maxLength: 8 },
  );
  fc.assert(
    fc.property(entries, fc.dictionary(fc.string(), fc.string()), (list, metadata) => {
      const filled = list
        .filter(({ name }) => name !== '__metadata__')
        .map((entry, i) => ({
          ...entry,
          data: new Uint8Array(entry.shape.reduce((n, size) => n * size, itemSize(entry.dtype))).fill(i + 1),
        }));
      writeSafetensors(target, filled, metadata);
      const file = openSafetensors(target);
      assert.deepEqual(new Map(file.metadata), new Map(Object.entries(metadata)));
      assert.deepEqual(new Set(file.names), new Set(filled.map(({ name }) => name)));
      for (const { name, dtype, shape, data } of filled) assert.deepEqual(file.read(name), { dtype, shape, data });
      file.close();
    }),
    { numRuns: 100 },
  );
});

test('every tensor begins at a multiple of its element size', () => {
  const target = temporaryPath('aligned.safetensors');
  writeSafetensors(target, [
    { name: 'flags', dtype: 'bool', shape: [3], data: new Uint8Array(3) },
    { name: 'ids', dtype: 'int64', shape: [1], data: new Uint8Array(8) },
    { name: 'half', dtype: 'float16', shape: [1], data: new Uint8Array(2) },
  ]);
  const raw = readFileSync(target);
  const headerBytes = Number(raw.readBigUInt64LE(0));
  assert.equal(headerBytes % 8, 0);
  const header = JSON.parse(raw.toString('utf8', 8, 8 + headerBytes)) as Record<string, { data_offsets: number[] }>;
  assert.deepEqual(
    Object.values(header).map((entry) => entry.data_offsets),
    [
      [10, 13],
      [0, 8],
      [8, 10],
    ],
  );
});

test('lazily given tensors are asked for one at a time, each once', () => {
  const target = temporaryPath('lazy.safetensors');
  const asked: string[] = [];
  const entry = (name: string) => ({
    ...float32([1], [1]),
    name,
    data: () => {
      asked.push(name);
      return new Uint8Array(4);
    },
  });
  writeSafetensors(target, [entry('a'), entry('b')]);
  assert.deepEqual(asked, ['a', 'b']);
});

test('a failed write leaves the old file and nothing beside it', () => {
  const target = temporaryPath('kept.safetensors');
  writeFileSync(target, 'old');
  const broken = { ...float32([1], [1]), name: 'late', data: () => new Uint8Array(3) };
  const error = checkpointErrorOf(
    () => writeSafetensors(target, [{ name: 'a', ...float32([2], [1, 2]) }, broken]),
    'tensor-invalid',
    target,
  );
  assert.match(error.message, /"late": 3 bytes given, float32 \[1\] takes 4/);
  assert.equal(readFileSync(target, 'utf8'), 'old');
  assert.deepEqual(
    readdirSync(path.dirname(target)).filter((name) => name.includes('.tmp')),
    [],
  );
  const nowhere = path.join(path.dirname(target), 'no-folder', 'x.safetensors');
  checkpointErrorOf(() => writeSafetensors(nowhere, []), 'write-failed', nowhere);
  assert.ok(!existsSync(nowhere));
});

test('the same name twice, and the name of the metadata, cannot be written', () => {
  const entry = { name: 'a', ...float32([1], [1]) };
  checkpointErrorOf(() => writeSafetensors(temporaryPath(), [entry, entry]), 'tensor-invalid');
  checkpointErrorOf(() => writeSafetensors(temporaryPath(), [{ ...entry, name: '__metadata__' }]), 'tensor-invalid');
});

test('"module." of all names is dropped when it is read as a state dict', () => {
  const target = temporaryPath('module.safetensors');
  writeSafetensors(target, [{ name: 'module.w', ...float32([1], [2]) }], { step: '3' });
  const file = readStateDict(target);
  assert.equal(file.format, 'safetensors');
  assert.deepEqual([...file.tensors.keys()], ['w']);
  assert.equal(file.metadata.get('step'), '3');
  file.close();
});

test('broken headers are errors that name the field', () => {
  const one = (fields: string) => `{"a":${fields}}`;
  const cases: [string, number, CheckpointError['code'], RegExp][] = [
    ['{"a":', 0, 'format-invalid', /not JSON/],
    ['{} x', 0, 'format-invalid', /not JSON/],
    [one('3'), 0, 'tensor-invalid', /"a": must be an object/],
    [one('{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}'), 4, 'tensor-unsupported', /dtype "F8_E4M3"/],
    [one('{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}'), 4, 'tensor-invalid', /shape must be/],
    [one('{"dtype":"F32","shape":[1.5],"data_offsets":[0,6]}'), 6, 'tensor-invalid', /shape must be/],
    [one('{"dtype":"F32","shape":[1],"data_offsets":[0]}'), 4, 'tensor-invalid', /data_offsets must be/],
    [
      one('{"dtype":"F32","shape":[2],"data_offsets":[0,4]}'),
      4,
      'tensor-invalid',
      /hold 4 bytes, float32 \[2\] takes 8/,
    ],
    [one('{"dtype":"F32","shape":[1e200,1e200],"data_offsets":[0,4]}'), 4, 'tensor-invalid', /shape must be/],
    [
      one('{"dtype":"F32","shape":[9007199254740991,9007199254740991],"data_offsets":[0,4]}'),
      4,
      'tensor-invalid',
      /data_offsets/,
    ],
    [one('{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'), 2, 'truncated', /"a" ends 2 bytes beyond/],
    [one('{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'), 5, 'format-invalid', /1 bytes after the last tensor/],
    [one('{"dtype":"F32","shape":[1],"data_offsets":[4,8]}'), 8, 'format-invalid', /leaves 4 bytes unused/],
    [
      '{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[3],"data_offsets":[2,5]}}',
      5,
      'format-invalid',
      /"b": data_offsets \[2, 5\] overlaps/,
    ],
    ['{"__metadata__":{"a":1}}', 0, 'format-invalid', /__metadata__."a" must be a string/],
    ['[]', 0, 'format-invalid', /begin with '\{'/],
  ];
  for (const [header, data, code, message] of cases) {
    const file = withHeader(header, data);
    assert.match(checkpointErrorOf(() => openSafetensors(file), code, file).message, message);
  }
});

test('a header longer than the file or the format allows is refused before memory is taken', () => {
  checkpointErrorOf(() => openSafetensors(temporaryFile(bytes(0xff, 0xff, 0, 0, 0, 0, 0, 0, '{}'))), 'truncated');
  checkpointErrorOf(() => openSafetensors(temporaryFile(bytes('\xff'.repeat(8), '{}'))), 'format-invalid');
  checkpointErrorOf(() => openSafetensors(temporaryFile('abc')), 'truncated');
});

test('files beyond 4 GiB are read by ranges', () => {
  // A sparse file: the large tensor takes no space on disk.
  const large = 4.5 * 2 ** 30;
  const target = withHeader(
    `{"a":{"dtype":"U8","shape":[${large}],"data_offsets":[0,${large}]},"b":{"dtype":"U8","shape":[2],"data_offsets":[${large},${large + 2}]}}`,
  );
  const start = statSync(target).size;
  truncateSync(target, start + large);
  appendFileSync(target, bytes(7, 8));
  const file = openSafetensors(target);
  assert.deepEqual([...file.read('b').data], [7, 8]);
  assert.match(checkpointErrorOf(() => file.read('a'), 'too-large').message, /"a" takes 4831838208 bytes/);
  file.close();
  rmSync(target);
});

test('__proto__ is a name like others', () => {
  const target = temporaryPath('proto.safetensors');
  writeSafetensors(target, [{ name: '__proto__', ...float32([1], [4]) }], new Map([['__proto__', 'x']]));
  const file = openSafetensors(target);
  assert.deepEqual(file.names, ['__proto__']);
  assert.equal(file.metadata.get('__proto__'), 'x');
  assert.equal(file.read('__proto__').data.byteLength, 4);
  file.close();
});

test('changed and cut bytes give tensors or a CheckpointError, nothing else', () => {
  const target = temporaryPath('whole.safetensors');
  writeSafetensors(
    target,
    [
      { name: 'a', ...float32([2, 1], [1, 2]) },
      { name: 'b', dtype: 'bool', shape: [3], data: new Uint8Array(3) },
    ],
    { k: 'v' },
  );
  const whole = readFileSync(target);
  const change = fc.record({ at: fc.nat({ max: whole.length - 1 }), value: fc.nat({ max: 255 }) });
  fc.assert(
    fc.property(
      fc.array(change, { minLength: 1, maxLength: 3 }),
      fc.option(fc.nat({ max: whole.length })),
      (changes, size) => {
        const damaged = Buffer.from(whole);
        for (const { at, value } of changes) damaged[at] = value;
        const file = temporaryFile(damaged.subarray(0, size ?? undefined), 'damaged');
        try {
          const opened = openSafetensors(file);
          try {
            for (const name of opened.names) opened.read(name);
          } finally {
            opened.close();
          }
        } catch (error) {
          if (!(error instanceof CheckpointError)) throw error;
        }
      },
    ),
    { numRuns: 2000 },
  );
});
