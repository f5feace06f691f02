import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { boxXywh } from '../boxes/box.js';
import { rleFromCounts } from '../masks/rle.js';
import { createRandom } from '../random/index.js';
import type { Detection } from './dataset.js';
import { PackedDetections } from './packed-detections.js';

const head = { imageId: 2 ** 53 - 1, categoryId: -3, score: 0.1 + 0.2 };
const some: Detection[] = [
  { ...head, bbox: boxXywh(-0.1, 1e-300, 1 / 3, 0) },
  { ...head, segmentation: { kind: 'rle', rle: rleFromCounts([0, 1, 200, 70000, 3, 2], [70206, 1]) } },
  { ...head, segmentation: { kind: 'rle', rle: rleFromCounts([2 ** 32 - 1], [2 ** 32 - 1, 1]) } },
  { ...head, segmentation: { kind: 'rle', rle: rleFromCounts([], [0, 5]) } },
  { ...head, segmentation: { kind: 'polygons', polygons: [[0.1, 2, 3.25, 4, 5, -6], []] } },
  { ...head, keypoints: [1.5, 2, 0, Math.PI, -1, 2] },
  {
    ...head,
    bbox: boxXywh(1, 2, 3, 4),
    segmentation: { kind: 'rle', rle: rleFromCounts([4, 4, 8], [4, 4]) },
    keypoints: [7, 8, 2],
  },
  head,
];

describe('PackedDetections', () => {
  test('gives back what was put in', () => {
    const packed = new PackedDetections();
    for (const detection of some) packed.push(detection);
    assert.equal(packed.length, some.length);
    // A mask is unpacked on demand: a copy has it as a value.
    assert.deepEqual(
      [...packed].map((detection) => ({ ...detection })),
      some,
    );
    assert.deepEqual([packed.at(-1), packed.at(some.length)], [undefined, undefined]);
    for (const [index, detection] of some.entries()) {
      assert.equal(packed.imageId(index), detection.imageId);
      assert.equal(packed.categoryId(index), detection.categoryId);
      assert.equal(packed.score(index), detection.score);
      for (const part of ['bbox', 'segmentation', 'keypoints'] as const)
        assert.equal(packed.has(index, part), detection[part] !== undefined);
    }
  });

  test('holds masks of any length, over many pages', () => {
    const random = createRandom(1, 0);
    const packed = new PackedDetections();
    const counts = Array.from({ length: 40 }, (_, index) =>
      Uint32Array.from({ length: index === 20 ? 5_000_000 : random.integer(300_000) }, () => random.integer(2 ** 20)),
    );
    for (const run of counts)
      packed.push({ ...head, segmentation: { kind: 'rle', rle: { size: [480, 640], counts: run } } });
    for (const [index, run] of counts.entries()) {
      const { segmentation } = packed.at(index)!;
      assert.ok(segmentation?.kind === 'rle');
      assert.ok(Buffer.from(segmentation.rle.counts.buffer).equals(Buffer.from(run.buffer)));
    }
  });
});
