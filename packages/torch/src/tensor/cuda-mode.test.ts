import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ones, tensor } from './create.js';
import { type CudaMode, cudaMode, notDeterministicIn, setCudaMode } from './cuda-mode.js';
import { callTensorOp } from './dispatch.js';
import { scope } from './scope.js';

const PYTORCHS: CudaMode = { deterministic: false, tf32: 'convolutions', autotune: false };

test("the engine starts in PyTorch's mode", () => {
  assert.deepEqual(cudaMode(), PYTORCHS);
});

test('each part of the mode is set, read back and taken back alone', () => {
  const parts: Partial<CudaMode>[] = [{ deterministic: true }, { tf32: 'all' }, { tf32: 'none' }, { autotune: true }];
  for (const part of parts) {
    const mode = { ...PYTORCHS, ...part };
    setCudaMode(mode);
    assert.deepEqual(cudaMode(), mode);
    // What is for cards leaves the CPU's operators alone.
    assert.deepEqual(
      scope(() => callTensorOp('aten::matmul', ones([2, 2]), ones([2, 2])).toNumbers()),
      [2, 2, 2, 2],
    );
  }
  setCudaMode(PYTORCHS);
  assert.deepEqual(cudaMode(), PYTORCHS);
});

test('measured choices are not the same in every run: deterministic turns them off, and fixes what cuBLAS works with', () => {
  const before = process.env.CUBLAS_WORKSPACE_CONFIG;
  try {
    delete process.env.CUBLAS_WORKSPACE_CONFIG;
    setCudaMode({ ...PYTORCHS, deterministic: true, autotune: true });
    assert.equal(cudaMode().autotune, false);
    assert.equal(process.env.CUBLAS_WORKSPACE_CONFIG, ':4096:8');
    process.env.CUBLAS_WORKSPACE_CONFIG = ':16:8';
    setCudaMode({ ...PYTORCHS, deterministic: true });
    assert.equal(process.env.CUBLAS_WORKSPACE_CONFIG, ':16:8');
  } finally {
    if (before === undefined) delete process.env.CUBLAS_WORKSPACE_CONFIG;
    else process.env.CUBLAS_WORKSPACE_CONFIG = before;
    setCudaMode(PYTORCHS);
  }
});

test('an operator that cannot keep the promise is named by its error', () => {
  const values = tensor([1, 2, 3]);
  const put = () => callTensorOp('aten::put_', values, tensor(BigInt64Array.of(0n)), tensor([5]));
  put();
  try {
    setCudaMode({ ...PYTORCHS, deterministic: true });
    assert.throws(put, (error) => {
      assert.equal(notDeterministicIn(error), 'put_');
      return true;
    });
  } finally {
    setCudaMode(PYTORCHS);
  }
  assert.equal(notDeterministicIn(new Error('put_: index 7 is out of range')), undefined);
});
