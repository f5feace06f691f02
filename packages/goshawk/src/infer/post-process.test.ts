import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { liveTensors, ops, scope, type Tensor, tensor } from '@goshawk/torch';
import { type ImageSizes, onHost, postProcess } from './post-process.js';

const options = { categoryIds: [7, 30] };

/** The network saw a 200 x 100 picture at 100 x 50. */
const half: ImageSizes = { imageId: 5, width: 100, height: 50, originalWidth: 200, originalHeight: 100 };

function found(boxes: readonly (readonly number[])[], labels: readonly number[], masks?: Tensor) {
  return {
    pixels: 'network' as const,
    boxes: tensor(boxes.flat(), { shape: [boxes.length, 4] }),
    scores: tensor(
      labels.map((_, i) => 1 / 2 ** (i + 1)),
      { shape: [labels.length] },
    ),
    labels: tensor(BigInt64Array.from(labels, BigInt), { shape: [labels.length] }),
    ...(masks ? { masks } : {}),
  };
}

/** Row-major pixels of run lengths, which go down the columns. */
function pixelsOf(counts: ArrayLike<number>, [height, width]: readonly [number, number]): number[] {
  const columns = Array.from(counts).flatMap((run, i) => new Array<number>(run).fill(i % 2));
  return Array.from({ length: height * width }, (_, i) => columns[(i % width) * height + Math.floor(i / width)]!);
}

describe('postProcess', () => {
  test("gives boxes as x, y, width, height in the picture's pixels, with the categories' ids", () =>
    scope(() => {
      const detections = postProcess(
        found(
          [
            [10, 5, 30, 25],
            [0, 0, 100, 50],
          ],
          [2, 1],
        ),
        half,
        options,
      );
      assert.deepEqual(detections, [
        { imageId: 5, categoryId: 30, score: 0.5, bbox: [20, 10, 40, 40] },
        { imageId: 5, categoryId: 7, score: 0.25, bbox: [0, 0, 200, 100] },
      ]);
    }));

  test('enlarges whole masks to the picture, cut to the part of the network that it was, with the boxes around them', () =>
    scope(() => {
      // Cells of 10 network pixels; the last column and the last row lie in the padding.
      const cells = Array.from({ length: 6 * 11 }, (_, at) => {
        const [column, row] = [at % 11, Math.floor(at / 11)];
        return column >= 2 && column < 5 && row >= 1 && row < 3 ? 1 : 0;
      });
      const empty = cells.map((_, at) => (at % 11 === 10 ? 1 : 0));
      const probabilities = tensor([...cells, ...empty], { shape: [2, 6, 11] });
      const own = {
        ...found(
          [
            [0, 0, 0, 0],
            [0, 0, 0, 0],
          ],
          [1, 2],
        ),
        wholeMasks: { probabilities, stride: 10 },
      };
      const detections = postProcess(own, half, options);
      // What lies in the padding alone is no detection.
      assert.equal(detections.length, 1);
      assert.deepEqual(detections[0]!.bbox, [40, 20, 60, 40]);
      const { segmentation } = detections[0]!;
      assert.ok(segmentation?.kind === 'rle');
      assert.deepEqual(segmentation.rle.size, [100, 200]);
    }));

  test('scales each axis by its own ratio', () =>
    scope(() => {
      const image = { ...half, originalWidth: 300, originalHeight: 100 };
      assert.deepEqual(postProcess(found([[10, 10, 20, 20]], [1]), image, options)[0]!.bbox, [30, 20, 30, 20]);
    }));

  test('pastes masks into the whole picture as torchvision does', () =>
    scope(() => {
      // The mask fills the left half of the box [4, 2, 12, 6] of the picture. torchvision's paste_masks_in_image rounds the
      // box outwards: these rows are its own for this mask and box.
      const image: ImageSizes = { imageId: 1, width: 8, height: 4, originalWidth: 16, originalHeight: 8 };
      const mask = ops.cat([ops.ones([1, 28, 14]), ops.zeros([1, 28, 14])], { dim: 2 });
      const [detection] = postProcess(found([[2, 1, 6, 3]], [1], mask), image, options);
      const segmentation = detection!.segmentation;
      assert.equal(segmentation?.kind, 'rle');
      const { size, counts } = segmentation!.kind === 'rle' ? segmentation!.rle : assert.fail();
      assert.deepEqual(size, [8, 16]);
      const rows = Array.from({ length: 8 }, (_, y) => (y >= 1 && y < 7 ? '0001111100000000' : '0'.repeat(16)));
      const drawn = pixelsOf(counts, [8, 16]).join('');
      assert.deepEqual(
        rows.map((_, y) => drawn.slice(y * 16, y * 16 + 16)),
        rows,
      );
    }));

  test('gives the same for detections of several pictures that came from a device in one copy', () =>
    scope(() => {
      const images = [
        found([[10, 5, 30, 25]], [2], ops.full([1, 4, 4], 0.75)),
        found([], [], ops.zeros([0, 4, 4])),
        {
          ...found(
            [
              [0, 0, 100, 50],
              [1, 2, 3, 4],
            ],
            [1, 2],
          ),
          keypoints: ops.rand([2, 3, 4]),
        },
      ];
      const moved = onHost(images, { gathered: true });
      for (const [index, own] of images.entries()) {
        assert.deepEqual(postProcess(moved[index]!, half, options), postProcess(own, half, options));
        assert.equal(moved[index]!.pixels, own.pixels);
      }
    }));

  test('gives nothing for nothing', () =>
    scope(() => {
      assert.deepEqual(postProcess(found([], [], ops.zeros([0, 28, 28])), half, options), []);
    }));

  test('keeps no tensors', () => {
    const run = () => scope(() => postProcess(found([[10, 5, 30, 25]], [2], ops.ones([1, 4, 4])), half, options));
    run();
    const alive = liveTensors();
    run();
    assert.equal(liveTensors(), alive);
  });
});
