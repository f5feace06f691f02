import assert from 'node:assert/strict';
import { test } from 'node:test';
import { float32FromBfloat16, float32FromFloat16 } from './half-types.js';
import { scope, tensor } from './index.js';

const patterns = Uint16Array.from({ length: 0x1_0000 }, (_, bits) => bits);

for (const [dtype, read] of [
  ['float16', float32FromFloat16],
  ['bfloat16', float32FromBfloat16],
] as const) {
  test(`every ${dtype} is read as the float32 that the engine makes of it`, () => {
    const engine = scope(() => tensor(patterns, { dtype }).to('float32').toFloat32Array());
    const ours = read(patterns);
    // Object.is also tells -0 from 0, and takes one NaN for another.
    assert.deepEqual(
      patterns.filter((bits) => !Object.is(ours[bits], engine[bits])),
      new Uint16Array(),
    );
    assert.deepEqual(
      scope(() => tensor(patterns.subarray(0, 0x7c00), { dtype }).toTypedArray()),
      engine.subarray(0, 0x7c00),
    );
  });
}

test('other types become float32 as the engine converts them', () => {
  scope(() => {
    for (const values of [
      new Float64Array([0.1, 1e300, -1e-50, Number.NaN]),
      new BigInt64Array([2n ** 24n + 1n, -3n, -(2n ** 62n)]),
      new Int32Array([2 ** 24 + 1, 2 ** 31 - 1, -5]),
      new Uint8Array([0, 255]),
    ]) {
      const made = tensor(values);
      assert.deepEqual(made.toFloat32Array(), made.to('float32').toFloat32Array());
    }
  });
});
