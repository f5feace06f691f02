import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRandom } from '../random/index.js';
import { readDecimal } from './json-decimal.js';

const encoder = new TextEncoder();
const random = createRandom(1, 0);

function read(text: string): number {
  const end = { at: 0 };
  const value = readDecimal(encoder.encode(`${text},`), 0, end);
  if (!Number.isNaN(value)) assert.equal(end.at, text.length, text);
  return value;
}

function assertAsParsed(text: string): void {
  const [got, expected] = [read(text), JSON.parse(text) as number];
  assert.ok(Object.is(got, expected), `${text}: ${got}, not ${expected}`);
}

const digits = (count: number): string =>
  Array.from({ length: count }, (_, i) => (i === 0 ? 1 + random.integer(9) : random.integer(10))).join('');

/** The double after a positive one. */
function next(value: number): number {
  const bits = new BigInt64Array(Float64Array.of(value).buffer);
  bits[0]!++;
  return new Float64Array(bits.buffer)[0]!;
}

describe('readDecimal', () => {
  test('gives what JSON.parse gives, for numbers as programs write them', () => {
    for (let i = 0; i < 10_000; i++) {
      const value = (random.uniform() - 0.3) * 10 ** random.integer(12);
      for (const text of [
        String(value),
        String(Math.fround(value)),
        value.toFixed(2),
        value.toFixed(20),
        value.toPrecision(15),
        value.toPrecision(16),
        value.toPrecision(17),
        value.toPrecision(18),
        value.toExponential(),
      ])
        assertAsParsed(text);
    }
  });

  test('for any digits, places of the point and exponents', () => {
    for (let i = 0; i < 10_000; i++) {
      const all = digits(1 + random.integer(24));
      const point = random.integer(all.length + 1);
      const whole = point === 0 ? '0' : all.slice(0, point);
      const zeros = '0'.repeat(random.uniform() < 0.2 ? random.integer(25) : 0);
      const fraction = point < all.length ? `.${zeros}${all.slice(point)}` : '';
      const sign = random.uniform() < 0.5 ? '-' : '';
      const letter = 'eE'[random.integer(2)]! + ['', '+', '-'][random.integer(3)]!;
      const exponent = random.uniform() < 0.5 ? '' : letter + random.integer(random.uniform() < 0.9 ? 30 : 400);
      assertAsParsed(sign + whole + fraction + exponent);
    }
  });

  test('at the middle between two doubles and beside it', () => {
    // Middles of at most 18 digits: odd multiples of powers of two.
    for (let i = 0; i < 5000; i++) {
      const k = random.integer(12);
      const low = (2 ** 52 + Math.floor(random.uniform() * 2 ** 52)) / 2 ** (51 + random.integer(3));
      const middle = (BigInt(Math.round(low * 2 ** 53)) * 2n + 1n) * 5n ** BigInt(k);
      for (const add of [-1n, 0n, 1n]) {
        const text = String(middle + add).padStart(20, '0');
        const cut = text.length - random.integer(18) - 1;
        assertAsParsed(`${BigInt(text.slice(0, cut))}.${text.slice(cut)}`);
      }
    }
    // Decimals on both sides of a middle, as near as 18 digits are.
    for (let i = 0; i < 5000; i++) {
      const low = random.uniform() * 10 ** random.integer(4) + 1;
      const exponent = 17 - Math.floor(Math.log10(low));
      const scale = 10n ** BigInt(exponent);
      const unit = 2n ** 60n;
      const exact = (value: number) => BigInt(value * 2 ** 30 * 2 ** 22) * 2n ** 8n;
      const middle = ((exact(low) + exact(next(low))) * scale) / (2n * unit);
      for (const add of [-1n, 0n, 1n, 2n]) {
        const text = String(middle + add).padStart(exponent + 1, '0');
        assertAsParsed(`${text.slice(0, -exponent)}.${text.slice(-exponent)}`);
      }
    }
  });

  test('for zeros, largest and smallest', () => {
    for (const text of ['0', '-0', '0.0', '-0.000', '0e5', '-0E-999999', '0.00000000000000000000000000000000001'])
      assertAsParsed(text);
    for (const text of ['9007199254740993', '9007199254740992.5', '1e22', '1e23', '123456789012345678e22'])
      assertAsParsed(text);
    for (const text of ['1e308', '1.8e308', '1e999', '5e-324', '2e-324', '1e-999', '2.2250738585072011e-308'])
      assertAsParsed(text);
  });

  test('leaves what JSON does not have', () => {
    for (const text of ['', '-', '+1', '.5', '1.', '-.5', '1.e3', '1e', '1e+', 'NaN', 'Infinity', '"1"'])
      assert.ok(Number.isNaN(read(text)), text);
    // Ends where JSON's number ends: what is behind is for others.
    const end = { at: 0 };
    assert.equal(readDecimal(encoder.encode('01'), 0, end), 0);
    assert.equal(end.at, 1);
  });
});
