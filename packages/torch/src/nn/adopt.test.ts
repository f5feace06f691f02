// Weights that stay in the file which has them.
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import type { TensorData } from '../checkpoint/tensor-data.js';
import { hostMemory, noGrad, readStateDict, scope, tensor, writePth, writeSafetensors } from '../index.js';
import { float32, temporaryPath } from '../testing/checkpoint-files.js';
import { Linear, requireDrawn, withoutDraws } from './index.js';

const SIDE = 256;
const values = Float32Array.from({ length: SIDE * SIDE }, (_, i) => Math.sin(i * 0.7));
const state: Readonly<Record<string, TensorData>> = {
  weight: float32([SIDE, SIDE], [...values]),
  bias: float32([SIDE], [...values.subarray(0, SIDE)]),
};

function write(format: 'pth' | 'safetensors'): string {
  const target = temporaryPath(`adopt.${format}`);
  if (format === 'pth') writePth(target, { state_dict: new Map(Object.entries(state)) });
  else
    writeSafetensors(
      target,
      Object.entries(state).map(([name, data]) => ({ name, ...data })),
    );
  return target;
}

function opened(path: string): Linear {
  const model = scope(() => withoutDraws(() => new Linear(SIDE, SIDE)));
  const file = readStateDict(path);
  try {
    model.loadStateDict(file.tensors, { adopt: true });
  } finally {
    file.close();
  }
  return model;
}

for (const format of ['pth', 'safetensors'] as const)
  test(`${format}: what is large takes no memory, has the file's values when it is closed, and keeps what is written from it`, () =>
    scope(() => {
      const path = write(format);
      const before = hostMemory()?.inUse ?? 0;
      const model = opened(path);
      assert.ok((hostMemory()?.inUse ?? 0) - before < 2 ** 16);
      requireDrawn(model.stateDict());
      assert.deepEqual(model.weight.toNumbers(), [...values]);
      assert.deepEqual(model.bias?.toNumbers(), [...values.subarray(0, SIDE)]);
      assert.ok(model.weight.requiresGrad);
      const bytes = readFileSync(path);
      const { version } = model.weight;
      noGrad(() => model.weight.mul_(2));
      assert.ok(model.weight.version > version);
      assert.deepEqual(readFileSync(path), bytes);
      assert.equal(model.weight.toNumbers()[1], 2 * values[1]!);
      // A file that is replaced stays for those who have its pages.
      const other = opened(path);
      rmSync(path);
      assert.deepEqual(other.weight.toNumbers(), [...values]);
    }));

test('what the file has in another type, or another order, is read', () =>
  scope(() => {
    const path = write('safetensors');
    const file = readStateDict(path);
    const half = withoutDraws(() => new Linear(SIDE, SIDE)).to({ dtype: 'bfloat16' });
    assert.equal(half.weight.adopt(file.tensors.get('weight')!), false);
    half.loadStateDict(file.tensors, { adopt: true });
    assert.equal(half.weight.dtype, 'bfloat16');
    assert.deepEqual(
      half.weight.toNumbers(),
      tensor([...values])
        .to({ dtype: 'bfloat16' })
        .toNumbers(),
    );
    const { dtype, shape, data } = state.weight!;
    const model = withoutDraws(() => new Linear(SIDE, SIDE));
    assert.equal(model.weight.adopt({ dtype, shape, materialize: () => ({ dtype, shape, data }) }), false);
    file.close();
    assert.throws(() => model.weight.adopt(file.tensors.get('weight')!), /the file was closed/);
  }));
