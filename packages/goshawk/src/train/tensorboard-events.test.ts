import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { crc32c, frameRecord, TensorBoardWriter } from './tensorboard-events.js';

const ascii = (text: string): Uint8Array => Buffer.from(text);

describe('crc32c', () => {
  test('has the check value of its definition and the vectors of RFC 3720, B.4', () => {
    assert.equal(crc32c(ascii('123456789')), 0xe3069283);
    assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
    assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
    assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
    assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c);
    assert.equal(crc32c(new Uint8Array()), 0);
  });
});

describe('frameRecord', () => {
  test("frames a record as TensorFlow's record writer does", () => {
    // tensorboard 2.21.0: RecordWriter(f).write(b'brain') gives these bytes.
    assert.equal(
      Buffer.from(frameRecord(ascii('brain'))).toString('hex'),
      '0500000000000000eab2043e627261696e92d279cb',
    );
  });
});

describe('TensorBoardWriter', () => {
  test('writes files that sort in the order in which they were begun', (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'goshawk-events-'));
    t.after(() => rmSync(folder, { recursive: true }));
    for (let run = 0; run < 3; run++) {
      const writer = TensorBoardWriter.open(folder, run > 0 ? { firstStep: run * 10 + 1 } : {});
      writer.scalar('train/loss', run * 10 + 5, run);
      writer.close();
    }
    const contents = readdirSync(folder)
      .sort()
      .map((name) => eventsIn(readFileSync(path.join(folder, name))));
    assert.equal(contents.length, 3);
    assert.deepEqual(
      contents.map((events) => events.length),
      [2, 3, 3],
    );
    contents.forEach((events, run) => {
      assert.ok(events[0]!.includes('brain.Event:2'));
      assert.ok(events.at(-1)!.includes('train/loss'));
      const value = Buffer.from(new Float32Array([run]).buffer).toString('latin1');
      assert.ok(events.at(-1)!.endsWith(`\x15${value}`), 'simple_value is field 2, four bytes');
    });
  });
});

/** The records of an event file as latin-1 text, every CRC checked. */
function eventsIn(file: Buffer): string[] {
  const events: string[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    const record = file.subarray(at, at + length + 16);
    const data = record.subarray(12, 12 + length);
    assert.deepEqual(record, Buffer.from(frameRecord(data)));
    events.push(data.toString('latin1'));
    at += record.length;
  }
  return events;
}
