// The expected keypoints of decodeKeypoints were computed with OpenCV 5.0 (cv2.resize, INTER_CUBIC) and numpy:
//   def decode(heatmaps, boxes, least):
//     for maps, (x1, y1, x2, y2) in zip(heatmaps, boxes):
//       w, h = max(x2 - x1, 1), max(y2 - y1, 1)
//       W, H = int(max(np.ceil(w), least)), int(max(np.ceil(h), least))
//       for m in cv2.resize(maps.transpose(1, 2, 0), (W, H), interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1):
//         y, x = divmod(m.argmax(), W); e = np.exp(m - m.max())
//         yield (x + .5) * w / W + x1, (y + .5) * h / H + y1, m[y, x], (e / e.sum())[y, x]
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, ops, scope, type Tensor, tensor } from '@goshawk/torch';
import { parseConfig } from '../../config/index.js';
import type { Detections } from '../structures.js';
import { decodeKeypoints, withKeypoints } from './decode-keypoints.js';

const boxesOf = (rows: readonly (readonly number[])[]): Tensor => tensor(rows.flat(), { shape: [rows.length, 4] });

/** Two boxes' heatmaps of two keypoints, 12 cells a side: 3 sin(0.7 i) + sin(0.31 i). */
const heatmaps = (): Tensor =>
  tensor(
    Array.from({ length: 2 * 2 * 12 * 12 }, (_, i) => 3 * Math.sin(0.7 * i) + Math.sin(0.31 * i)),
    { shape: [2, 2, 12, 12] },
  );

const CASES = [
  {
    what: 'boxes of fractions of pixels, larger and smaller than the heatmap',
    boxes: [
      [10.25, 20.5, 40.75, 90.125],
      [3, 4, 9.5, 11.25],
    ],
    minSize: 0,
    expected: [
      [17.62903, 20.99732, 4.42885, 0.00825],
      [16.64516, 20.99732, 4.65847, 0.01011],
      [6.25, 8.98438, 3.14789, 0.10169],
      [8.10714, 8.07812, 3.32513, 0.12111],
    ],
  },
  {
    what: 'a box without a width, which counts as one pixel, and a large one',
    boxes: [
      [5, 6, 5, 6.5],
      [0, 0, 100.3, 31.7],
    ],
    minSize: 0,
    expected: [
      [5.5, 6.5, 0.58841, 1],
      [5.5, 6.5, 0.23165, 1],
      [17.37871, 0.49531, 4.75499, 0.00736],
      [13.40644, 0.49531, 4.35839, 0.00496],
    ],
  },
  {
    what: 'boxes below the least size of the enlarged heatmaps',
    boxes: [
      [3, 4, 9.5, 11.25],
      [10, 20, 31.5, 33],
    ],
    minSize: 24,
    expected: [
      [4.48958, 4.15104, 4.35757, 0.0296],
      [4.48958, 4.15104, 4.63447, 0.03787],
      [14.03125, 20.27083, 4.65944, 0.03832],
      [13.13542, 20.27083, 4.31911, 0.02743],
    ],
  },
] as const;

describe('decodeKeypoints', () => {
  for (const { what, boxes, minSize, expected } of CASES) {
    test(`finds the same place, logit and probability as OpenCV's bicubic enlargement for ${what}`, () =>
      scope(() => {
        const found = decodeKeypoints(heatmaps(), boxesOf(boxes), minSize);
        assert.deepEqual(found.shape, [2, 2, 4]);
        assertClose(found, expected.flat(), { absolute: 2e-5, relative: 1e-5 });
      }));
  }

  test('finds a point of a box so large that not all its heatmaps are enlarged at once', () =>
    scope(() => {
      // A peak in the middle of one cell of 8: it comes out in the middle of that cell, which lies between two pixels.
      const maps = ops.zeros([1, 3, 8, 8]);
      for (const [keypoint, cell] of [10, 27, 45].entries())
        ops.fill_(ops.narrow(ops.view(ops.select(ops.select(maps, 0, 0), 0, keypoint), [64]), 0, cell, 1), 9);
      const found = decodeKeypoints(maps, boxesOf([[0, 0, 4096, 2048]])).toNumbers();
      for (const [keypoint, cell] of [10, 27, 45].entries()) {
        const [x = 0, y = 0] = found.slice(keypoint * 4);
        assert.ok(Math.abs(x - ((cell % 8) + 0.5) * 512) <= 0.5, `x ${x}`);
        assert.ok(Math.abs(y - (Math.floor(cell / 8) + 0.5) * 256) <= 0.5, `y ${y}`);
      }
    }));

  test('gives no keypoints for no boxes', () =>
    scope(() => {
      assert.deepEqual(decodeKeypoints(ops.zeros([0, 17, 56, 56]), ops.zeros([0, 4])).shape, [0, 17, 4]);
    }));
});

describe('withKeypoints', () => {
  const headOf = (keys: string) => {
    const { model } = parseConfig(`model: { type: keypoint_rcnn, keypointHead: { ${keys} } }`, { file: 'test' });
    assert.ok(model.type === 'keypoint_rcnn');
    return model.keypointHead;
  };
  // The second person's heatmaps are clearer than the first's.
  const found = (): Detections => ({
    pixels: 'network',
    boxes: boxesOf([
      [0, 0, 12, 12],
      [50, 0, 62, 12],
      [0, 0, 12, 12],
    ]),
    scores: tensor([0.9, 0.8, 0.7]),
    labels: tensor(BigInt64Array.of(1n, 1n, 1n)),
  });
  const maps = (): Tensor => {
    const peak = (height: number, cell: number): number[] =>
      Array.from({ length: 144 }, (_, i) => (i === cell ? height : 0));
    const person = (height: number): number[] =>
      Array.from({ length: 17 }, (_, point) => peak(height, point * 8)).flat();
    return tensor([...person(4), ...person(8), ...person(6)], { shape: [3, 17, 12, 12] });
  };

  test("ranks persons by their boxes' scores", () =>
    scope(() => {
      const ranked = withKeypoints(found(), maps(), headOf(''));
      assertClose(ranked.scores, [0.9, 0.8, 0.7]);
      assert.deepEqual(ranked.keypoints!.shape, [3, 17, 4]);
    }));

  test("ranks them by their keypoints' mean logit or probability, where so told, and keeps what belongs together", () =>
    scope(() => {
      const byLogit = withKeypoints(found(), maps(), headOf('score: mean_logit'));
      assertClose(byLogit.scores, [8, 6, 4]);
      assert.deepEqual(byLogit.boxes.toNumbers().slice(0, 4), [50, 0, 62, 12]);
      assertClose(ops.select(ops.select(byLogit.keypoints!, 2, 2), 1, 0), [8, 6, 4]);
      const byProbability = withKeypoints(found(), maps(), headOf('score: mean_probability'));
      assertClose(
        byProbability.scores,
        [8, 6, 4].map((logit) => Math.exp(logit) / (Math.exp(logit) + 143)),
      );
    }));

  test('drops persons that are too similar to one with clearer keypoints', () =>
    scope(() => {
      // The first and the third stand in the same place; the third's mean logit is higher.
      const kept = withKeypoints(found(), maps(), headOf('nmsOks: 0.3'));
      assertClose(kept.scores, [0.8, 0.7]);
      assert.deepEqual(kept.keypoints!.shape, [2, 17, 4]);
    }));
});
