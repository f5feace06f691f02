// Tensors read one after another into the same memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { float32, temporaryPath } from '../testing/checkpoint-files.js';
import { writePth } from './pth-write.js';
import { writeSafetensors } from './safetensors.js';
import { readStateDict } from './state-dict.js';

const tensors = { large: float32([2, 3], [1, 2, 3, 4, 5, 6]), small: float32([2], [7, 8]) };

function write(format: 'pth' | 'safetensors'): string {
  const target = temporaryPath(`scratch.${format}`);
  if (format === 'pth') writePth(target, { state_dict: new Map(Object.entries(tensors)) });
  else
    writeSafetensors(
      target,
      Object.entries(tensors).map(([name, { data, ...rest }]) => ({ name, data, ...rest })),
    );
  return target;
}

for (const format of ['pth', 'safetensors'] as const) {
  test(`a ${format} file is read into the scratch that is given, where it is large enough`, () => {
    const file = readStateDict(write(format));
    const scratch = new Uint8Array(24);
    const large = file.tensors.get('large')!.materialize(scratch);
    assert.equal(large.data.buffer, scratch.buffer);
    assert.deepEqual([...new Float32Array(scratch.buffer)], [1, 2, 3, 4, 5, 6]);
    const small = file.tensors.get('small')!.materialize(scratch);
    assert.equal(small.data.byteLength, 8);
    assert.deepEqual([...new Float32Array(scratch.buffer)], [7, 8, 3, 4, 5, 6]);
    const own = file.tensors.get('large')!.materialize(new Uint8Array(23));
    assert.deepEqual([...new Float32Array(own.data.buffer, own.data.byteOffset, 6)], [1, 2, 3, 4, 5, 6]);
    assert.notEqual(own.data.buffer, scratch.buffer);
    file.close();
  });
}
