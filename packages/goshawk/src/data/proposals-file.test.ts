import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { InputError } from '@goshawk/core';
import { writePth, writeSafetensors } from '@goshawk/torch/checkpoint';
import { readProposalFiles, readProposals, type StoredProposals, writeProposals } from './proposals-file.js';

// dist/data/ -> src/data/: fixtures are not compiled.
const detectronFile = fileURLToPath(new URL('../../src/data/fixtures/detectron-proposals.pkl', import.meta.url));

const found: StoredProposals[] = [
  { imageId: 42, boxes: Float32Array.of(0, 0, 9, 4, 10.5, 20, 30, 40), scores: Float32Array.of(0.75, 0.5) },
  { imageId: 7, boxes: new Float32Array(0), scores: new Float32Array(0) },
  { imageId: 139, boxes: Float32Array.of(1, 2, 3, 4), scores: Float32Array.of(0.25) },
];

describe('proposals in files', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-proposals-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  test('come back as they were written', () => {
    const path = join(folder, 'own.safetensors');
    writeProposals(path, found);
    assert.deepEqual([...readProposals(path).values()], found);
    writeProposals(path, []);
    assert.equal(readProposals(path).size, 0);
  });
  test("of Detectron's .pkl are read", () => {
    assert.deepEqual([...readProposals(detectronFile, { convention: 'inclusive' }).values()], found);
  });
  test('end one pixel further where the last pixel counts', () => {
    const boxes = readProposals(detectronFile).get(42)?.boxes;
    assert.deepEqual([...boxes!], [0, 0, 10, 5, 10.5, 20, 31, 41]);
    const path = join(folder, 'continuous.safetensors');
    writeProposals(path, found, { convention: 'continuous' });
    assert.deepEqual([...readProposals(path, { convention: 'inclusive' }).get(139)!.boxes], [1, 2, 2, 3]);
  });
  test('of several files are put together, each for pictures of its own', () => {
    const [first, second] = [join(folder, 'first.safetensors'), join(folder, 'second.safetensors')];
    writeProposals(first, found.slice(0, 2));
    writeProposals(second, found.slice(2));
    assert.deepEqual([...readProposalFiles([first, second]).values()], found);
    writeProposals(second, found.slice(1));
    assert.throws(() => readProposalFiles([first, second]), {
      message: `${second}: has proposals for image id 7, as ${first} has: leave one of the files out`,
    });
  });

  test('that are damaged or something else are refused', () => {
    const refuse = (name: string, message: RegExp): void =>
      assert.throws(
        () => readProposals(join(folder, name)),
        (error) => {
          assert.ok(error instanceof InputError, String(error));
          assert.match(error.message, message);
          assert.match(error.message, /--save-proposals/);
          return true;
        },
      );
    writeSafetensors(join(folder, 'weights.safetensors'), [], {});
    refuse('weights.safetensors', /weights\.safetensors: it holds no proposals/);
    const float = (values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
    writePth(join(folder, 'weights.pth'), { w: { dtype: 'float32', shape: [1], data: float([1]) } });
    refuse('weights.pth', /weights\.pth: its boxes, scores and ids are no lists of the same length/);
    writeProposals(join(folder, 'twice.safetensors'), [found[0]!, found[0]!]);
    refuse('twice.safetensors', /image id 42 comes twice/);
    writeProposals(join(folder, 'nan.safetensors'), [{ ...found[2]!, boxes: Float32Array.of(1, 2, Number.NaN, 4) }]);
    refuse('nan.safetensors', /a box of image id 139 is not finite/);
    const id = (value: bigint) => new Uint8Array(BigInt64Array.of(value).buffer);
    writeSafetensors(
      join(folder, 'short.safetensors'),
      [
        { name: 'image_ids', dtype: 'int64', shape: [1], data: id(1n) },
        { name: 'counts', dtype: 'int64', shape: [1], data: id(2n) },
        { name: 'boxes', dtype: 'float32', shape: [1, 4], data: float([0, 0, 1, 1]) },
        { name: 'scores', dtype: 'float32', shape: [1], data: float([1]) },
      ],
      { format: 'goshawk-proposals-1', convention: 'continuous' },
    );
    refuse('short.safetensors', /its tensors do not fit one another/);
    writeFileSync(join(folder, 'text.pkl'), 'boxes');
    assert.throws(() => readProposals(join(folder, 'text.pkl')), /text\.pkl/);
    assert.throws(() => readProposals(join(folder, 'none.pkl')), /none\.pkl/);
  });
});
