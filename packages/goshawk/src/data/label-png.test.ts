// Label pictures written by Pillow, by hand with each of PNG's predictions, and damaged.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { InputError } from '@goshawk/core';
import { decodeLabelPng } from './label-png.js';

const fixture = (name: string) => readFileSync(new URL(`../../src/data/fixtures/${name}`, import.meta.url));
const formula = (x: number, y: number) =>
  (Math.floor(y / 7) * 4099 + x * x * 13 + y * x * 257 + Math.floor(x / 5)) % 33019;

function chunk(type: string, data: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(data.length);
  head.write(type, 4, 'latin1');
  // The decoder leaves checksums to zlib's own.
  return Buffer.concat([head, data, Buffer.alloc(4)]);
}

/** A PNG of one filter throughout. */
function encode(width: number, height: number, bits: 8 | 16, filter: number, value: (x: number, y: number) => number) {
  const step = bits / 8;
  const byte = (i: number, y: number): number => {
    if (i < 0 || y < 0) return 0;
    const number = value(Math.floor(i / step), y);
    return step === 1 || i % 2 === 1 ? number & 255 : number >> 8;
  };
  const rows: number[] = [];
  for (let y = 0; y < height; y++) {
    rows.push(filter);
    for (let i = 0; i < width * step; i++) {
      const [a, b, c] = [byte(i - step, y), byte(i, y - 1), i < step ? 0 : byte(i - step, y - 1)];
      const nearest = [a, b, c].sort((p, q) => Math.abs(a + b - c - p) - Math.abs(a + b - c - q))[0]!;
      const predicted = [0, a, b, Math.floor((a + b) / 2), nearest][filter]!;
      rows.push((byte(i, y) - predicted) & 255);
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header[8] = bits;
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const data = deflateSync(Uint8Array.from(rows));
  // In two parts, as large pictures have them.
  const parts = [chunk('IDAT', data.subarray(0, 5)), chunk('IDAT', data.subarray(5))];
  return Buffer.concat([signature, chunk('IHDR', header), ...parts, chunk('IEND', new Uint8Array())]);
}

function assertFormula(bytes: Uint8Array, modulus: number): void {
  const { width, height, values } = decodeLabelPng(bytes, 'a.png');
  assert.deepEqual([width, height], [40, 30]);
  for (let i = 0; i < values.length; i++)
    assert.equal(values[i], formula(i % 40, Math.floor(i / 40)) % modulus, `pixel ${i}`);
}

describe('label pictures', () => {
  test("of Pillow's are read number by number, 16 bits and 8", () => {
    assertFormula(fixture('labels-16-bit.png'), 65536);
    assertFormula(fixture('labels-8-bit.png'), 256);
  });

  for (const filter of [0, 1, 2, 3, 4]) {
    test(`with prediction ${filter} are read number by number`, () => {
      assertFormula(encode(40, 30, 16, filter, formula), 65536);
      assertFormula(
        encode(40, 30, 8, filter, (x, y) => formula(x, y) & 255),
        256,
      );
    });
  }

  test('that are none, or damaged, or too large are errors that name the file', () => {
    const whole = fixture('labels-16-bit.png');
    const changed = (at: number, ...bytes: number[]) => {
      const copy = Uint8Array.from(whole);
      copy.set(bytes, at);
      return copy;
    };
    const cases: readonly (readonly [Uint8Array, RegExp])[] = [
      [new Uint8Array(), /is not a PNG/],
      [new TextEncoder().encode('<html>'.repeat(20)), /is not a PNG/],
      [fixture('labels-colour.png'), /is a PNG of colour type 2, 8 bits \(expected grey of 8 or 16 bits\)/],
      [whole.subarray(0, 400), /is damaged or cut short/],
      [changed(60, 1, 2, 3, 4), /is damaged/],
      [changed(16, 0x7f, 0xff, 0xff, 0xff), /is 2147483647 x 30/],
      [changed(16, 0, 0, 0, 20), /is damaged or cut short/],
      [changed(16, 0, 0, 0, 80), /is cut short/],
      [encode(40, 30, 8, 0, () => 0).fill(9, 30, 40), /damaged|cut short/],
    ];
    for (const [bytes, expected] of cases) {
      assert.throws(
        () => decodeLabelPng(bytes, 'labels.png'),
        (error) =>
          error instanceof InputError && error.message.startsWith('labels.png: ') && expected.test(error.message),
        String(expected),
      );
    }
  });
});
