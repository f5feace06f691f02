import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { numbered, orderByKey, orderDescending } from './stable-order.js';

test('the order by key is that of a stable sort', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9)), (keys) => {
      const expected = keys.map((_, i) => i).sort((a, b) => keys[a]! - keys[b]!);
      assert.deepEqual([...orderByKey(numbered(keys.length), Int32Array.from(keys), 10)], expected);
    }),
  );
});

test('the order by value is that of a stable sort, largest first, for every double but NaN', () => {
  const value = fc.oneof(fc.double({ noNaN: true }), fc.constantFrom(0, -0, 0.5, 1, -1));
  fc.assert(
    fc.property(fc.array(value), fc.boolean(), (values, isReversed) => {
      const start = isReversed ? numbered(values.length).reverse() : numbered(values.length);
      const expected = [...start].sort((a, b) => (values[a] === values[b] ? 0 : values[a]! > values[b]! ? -1 : 1));
      assert.deepEqual([...orderDescending(start, Float64Array.from(values))], expected);
    }),
  );
});
