import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { liveTensors, scope, type Tensor, tensorOver } from './index.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

test('writes on either side show on the other', () => {
  scope(() => {
    const array = Float32Array.of(1, 2, 3, 4);
    const x = tensorOver(array, [2, 2]);
    array[3] = 40;
    assert.deepEqual(x.toNumbers(), [1, 2, 3, 40]);
    x.mul_(2);
    assert.deepEqual([...array], [2, 4, 6, 80]);
  });
});

test('a SharedArrayBuffer is shared, from its offset on', () => {
  scope(() => {
    const buffer = new SharedArrayBuffer(32);
    const whole = new Float32Array(buffer);
    const x = tensorOver(new Float32Array(buffer, 16, 3), [3]);
    x.fill_(7);
    assert.deepEqual([...whole], [0, 0, 0, 0, 7, 7, 7, 0]);
  });
});

test('strides describe other orders, such as rows of a picture as channels', () => {
  scope(() => {
    // 1 x 2 pixels of RGB, read as [channels, height, width].
    const pixels = Uint8Array.of(1, 2, 3, 11, 12, 13);
    const x = tensorOver(pixels, [3, 1, 2], { strides: [1, 6, 3] });
    assert.deepEqual(x.toNumbers(), [1, 11, 2, 12, 3, 13]);
  });
});

test('another dtype of the same bytes may be named', () => {
  scope(() => {
    const bytes = new Uint8Array(Float32Array.of(1.5, -2).buffer);
    assert.deepEqual(tensorOver(bytes, [2], { dtype: 'float32' }).toNumbers(), [1.5, -2]);
  });
});

test('a shape, or strides, beyond the array are an Error', () => {
  const four = new Float32Array(4);
  assert.throws(() => tensorOver(four, [5]), /tensorOver: the shape needs 20 bytes, the array has 16/);
  assert.throws(() => tensorOver(four, [2, 2], { strides: [4, 1] }), /needs 24 bytes/);
  assert.throws(() => tensorOver(four, [2], { strides: [-1] }), /negative/);
  assert.throws(() => tensorOver(four, [0], { strides: [-1] }), /negative/);
  assert.throws(() => tensorOver(four, [2], { strides: [1, 1] }), /differ in length/);
  // 2^53 * 2048 * 4 bytes is 2^66, which 64 bits do not hold.
  assert.throws(() => tensorOver(four, [2049], { strides: [2 ** 53] }), /too large|needs/);
  assert.throws(() => tensorOver(four, [2 ** 40, 2 ** 40]), /too large/);
});

test('the tensor, and any view of it, keeps the array alive', () => {
  const views: Tensor[] = [];
  const before = liveTensors();
  for (let i = 0; i < 50; i++) {
    const array = new Float64Array(20_000).fill(i);
    views.push(scope(() => tensorOver(array, [20_000]).narrow(0, 100, 3)));
  }
  for (let i = 0; i < 3; i++) collectGarbage();
  // Memory that was given back would be taken again by these.
  for (let i = 0; i < 50; i++) new Float64Array(20_000).fill(-1);
  for (const [i, view] of views.entries()) assert.deepEqual(view.toNumbers(), [i, i, i]);
  for (const view of views) view.dispose();
  assert.equal(liveTensors(), before);
});

test('a freed tensor lets its array go', async () => {
  const gone: WeakRef<Float64Array>[] = [];
  (() => {
    for (let i = 0; i < 20; i++) {
      const array = new Float64Array(1000);
      gone.push(new WeakRef(array));
      tensorOver(array, [1000]).dispose();
    }
  })();
  // The binding drops its references at the next release; a WeakRef holds its target until the current job ends.
  tensorOver(new Float32Array(1), [1]).dispose();
  await new Promise((done) => setImmediate(done));
  collectGarbage();
  const alive = gone.filter((ref) => ref.deref() !== undefined).length;
  assert.ok(alive <= 1, `${alive} of 20 arrays are still alive`);
});
