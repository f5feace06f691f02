// What must not compile; `tsc` fails where one of these lines does. Nothing of it runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DType, Tensor } from '../tensor/index.js';
import { ops } from './index.js';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function isTrue<T extends true>(): T | undefined {
  return undefined;
}

function wrongCalls(x: Tensor, dtype: DType): void {
  // @ts-expect-error no such option
  ops.conv2d(x, x, { strid: 2 });
  // @ts-expect-error the weight is missing
  ops.conv2d(x);
  // @ts-expect-error a shape is no tensor
  ops.relu([1, 2]);
  // @ts-expect-error int[] without a fixed length takes no single number
  x.permute(1);
  // @ts-expect-error the bias goes into the options
  ops.conv2d(x, x, x);
  // @ts-expect-error unknown dtype
  x.softmax(1, { dtype: 'float' });
  // @ts-expect-error unknown memory format
  x.contiguous({ memory_format: 'nhwc' });
  // @ts-expect-error a list of tensors
  ops.cat(x);
  // @ts-expect-error a string is no number
  x.add('1');
  // @ts-expect-error no such operator
  x.reluu();
  // @ts-expect-error keepdim is a boolean
  x.sum(1, { keepdim: 1 });
  // @ts-expect-error to() is Tensor's own, with options in an object
  x.to(dtype, true);
}

function rightCalls(x: Tensor): void {
  isTrue<Equal<ReturnType<typeof x.relu>, Tensor>>();
  const pair = x.max(1, { keepdim: true });
  isTrue<Equal<typeof pair, readonly [values: Tensor, indices: Tensor]>>();
  const parts = x.split([1, 2]);
  isTrue<Equal<typeof parts, Tensor[]>>();
  const same = x.equal(x);
  isTrue<Equal<typeof same, boolean>>();
  ops.conv2d(x, x, { padding: 'same', stride: 2, dilation: [1, 1], bias: null });
  ops.batch_norm(x, x, null, x, x, true, 0.1, 1e-5, false);
}

test('the file compiles, so every wrong call above is refused', () => {
  assert.equal(typeof wrongCalls, 'function');
  assert.equal(typeof rightCalls, 'function');
});
