// The zip's structure is checked against PKWARE's APPNOTE.TXT with Node's CRC; torch.load(weights_only=True) of 2.14 and
// libtorch 1.13.1's pickle_load read such files too (tried by hand).
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import {
  checkpointErrorOf,
  describeTensors,
  expectedContents,
  fixture,
  float32,
  temporaryPath,
} from '../testing/checkpoint-files.js';
import { ByteSource } from './byte-source.js';
import { PickledTensor } from './pickled-tensor.js';
import { readCheckpoint } from './pth.js';
import { type PthValue, writePth } from './pth-write.js';
import { readStateDict } from './state-dict.js';
import { readZip } from './zip-archive.js';
import { ZipWriter } from './zip-writer.js';

function roundTrip(value: PthValue) {
  const target = temporaryPath('written.pth');
  writePth(target, value);
  return readCheckpoint(target);
}

test('every tensor of a checkpoint by torch survives being read and written', () => {
  const original = readStateDict(fixture('zip.pth'));
  const target = temporaryPath('copy.pth');
  writePth(target, { state_dict: original.tensors });
  const copy = readStateDict(target);
  assert.deepEqual(describeTensors(copy.tensors), expectedContents()['zip.pth']!.tensors);
  original.close();
  copy.close();
});

test('plain values come back, numbers as int or float', () => {
  const { root, close } = roundTrip({
    numbers: [0, 255, 256, 65536, -1, 2 ** 31, -(2 ** 40), 0.1, -0, Number.NaN, Number.POSITIVE_INFINITY],
    big: [2n ** 63n, -(2n ** 64n), 5n],
    nested: new Map<string | number, PthValue>([
      [3, { a: null, b: [true, false], c: [] }],
      ['dög', 'é\u{1f600}'],
    ]),
  });
  const expected = new Map<string, unknown>([
    ['numbers', [0, 255, 256, 65536, -1, 2 ** 31, -(2 ** 40), 0.1, -0, Number.NaN, Number.POSITIVE_INFINITY]],
    ['big', [2n ** 63n, -(2n ** 64n), 5]],
    [
      'nested',
      new Map<unknown, unknown>([
        [
          3,
          new Map<string, unknown>([
            ['a', null],
            ['b', [true, false]],
            ['c', []],
          ]),
        ],
        ['dög', 'é\u{1f600}'],
      ]),
    ],
  ]);
  assert.deepEqual(root, expected);
  close();
});

test('a tensor given under two names is one storage', () => {
  const weight = float32([2], [1, 2]);
  const { root, close } = roundTrip(
    new Map([
      ['a', weight],
      ['b', weight],
    ]),
  );
  assert.ok(root instanceof Map);
  const [a, b] = [root.get('a'), root.get('b')];
  assert.ok(a instanceof PickledTensor && b instanceof PickledTensor);
  assert.equal(a.storage, b.storage);
  close();
});

test('entries have right checksums, and each begins at a multiple of 64 bytes', () => {
  const target = temporaryPath('structure.pth');
  writePth(target, {
    a: float32([3], [1, 2, 3]),
    b: { dtype: 'bool', shape: [1], data: new Uint8Array([1]) },
    empty: float32([0], []),
  });
  const source = ByteSource.open(target);
  const { entries, open } = readZip(source);
  assert.deepEqual(
    [...entries.keys()],
    ['data.pkl', 'byteorder', 'data/0', 'data/1', 'data/2', 'version'].map((name) => `archive/${name}`),
  );
  for (const entry of entries.values()) {
    const content = open(entry);
    assert.equal(crc32(content.read(0, content.size, entry.name)), entry.crc32, entry.name);
    assert.equal(content.start % 64, 0, entry.name);
  }
  source.close();
});

test('the same checkpoint gives the same bytes', () => {
  const [one, two] = [temporaryPath(), temporaryPath()];
  for (const target of [one, two]) writePth(target, { w: float32([1], [1]) });
  assert.deepEqual(readFileSync(one), readFileSync(two));
});

test('archives beyond 4 GiB have zip64 fields that are read again', () => {
  const target = temporaryPath('large.zip');
  const fd = openSync(target, 'w');
  let position = 0;
  const zip = new ZipWriter((bytes) => {
    // The large entries are left as holes of a sparse file.
    if (bytes.byteLength < 1000) writeSync(fd, bytes, 0, bytes.byteLength, position);
    position += bytes.byteLength;
  });
  const large = new Uint8Array(1.5 * 2 ** 30);
  for (const name of ['a', 'b', 'c']) zip.add(name, large);
  zip.add('last', new Uint8Array([7]));
  zip.finish();
  closeSync(fd);
  const source = ByteSource.open(target);
  const { entries, open } = readZip(source);
  assert.deepEqual(
    [...entries.values()].map((entry) => entry.size),
    [large.byteLength, large.byteLength, large.byteLength, 1],
  );
  const last = open(entries.get('last')!);
  assert.ok(last.start > 2 ** 32);
  assert.deepEqual([...last.read(0, 1, 'last')], [7]);
  source.close();
  rmSync(target);
});

test('what cannot be saved is named by its path', () => {
  const cases: [PthValue, RegExp][] = [
    [{ a: { b: float32([3], [1, 2]) } }, /8 bytes given, float32 \[3\] takes 12/],
    [{ a: [float32([-1], [])] }, /"a\[0\]" has the shape \[-1\]/],
    [{ a: undefined as never }, /"a" is a undefined/],
  ];
  for (const [value, message] of cases) {
    assert.match(checkpointErrorOf(() => writePth(temporaryPath(), value), 'tensor-invalid').message, message);
  }
  const cycle: PthValue[] = [];
  cycle.push(cycle);
  assert.match(checkpointErrorOf(() => writePth(temporaryPath(), cycle), 'tensor-invalid').message, /nested too deep/);
});
