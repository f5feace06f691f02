import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { boxMaskToRle, createRandom, decodeHeatmaps } from '@goshawk/core';
import { assertClose, masksToRle, scope, setThreads, tensor } from '@goshawk/torch';
import { decodeKeypoints } from '../models/roi-heads/decode-keypoints.js';

setThreads(1);

// Core's functions run where the engine is not; they have to say the same.
describe("core's own post-processing and the engine's", () => {
  test('paste the same masks by all rules', () =>
    scope(() => {
      const random = createRandom(5);
      for (let round = 0; round < 60; round++) {
        const side = round % 2 === 0 ? 28 : 14;
        const cells = Float32Array.from({ length: side * side }, () => random.uniform());
        const [x, y] = [random.uniform() * 90 - 20, random.uniform() * 70 - 20];
        const box = Float32Array.of(x, y, x + random.uniform() * 80, y + random.uniform() * 60);
        const options = {
          width: 83,
          height: 61,
          threshold: 0.5,
          strict: round % 3 === 0,
          padding: round % 5 === 0 ? 0 : 1,
        } as const;
        const [wanted] = masksToRle(tensor(cells, { shape: [1, side, side] }), tensor(box, { shape: [1, 4] }), options);
        assert.deepEqual(boxMaskToRle(cells, box, options).counts, wanted);
      }
    }));

  test('find the same keypoints in heatmaps', () =>
    scope(() => {
      const random = createRandom(6);
      for (let round = 0; round < 12; round++) {
        const heatmaps = Float32Array.from({ length: 3 * 56 * 56 }, () => random.uniform() * 8 - 4);
        const [x, y] = [random.uniform() * 50, random.uniform() * 50];
        const box = Float32Array.of(x, y, x + random.uniform() * 200, y + random.uniform() * 150);
        const minSize = round % 2 === 0 ? 0 : 60;
        const wanted = decodeKeypoints(
          tensor(heatmaps, { shape: [1, 3, 56, 56] }),
          tensor(box, { shape: [1, 4] }),
          minSize,
        );
        assertClose(wanted, [...decodeHeatmaps(heatmaps, 56, box, minSize)], { relative: 2e-6, absolute: 1e-5 });
      }
    }));
});
