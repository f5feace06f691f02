// Pasting masks and cutting targets out of them: by hand, against RoIAlign of full masks, and torchvision (fixtures/make.py).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../checks/assert-close.js';
import { full, ones, tensor, zeros } from '../tensor/create.js';
import { callTensorOp } from '../tensor/dispatch.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { assertSameOnAnyThreads } from '../testing/thread-counts.js';
import { torchvision } from '../testing/torchvision-cases.js';
import { wave } from '../testing/wave.js';
import { cropMaskTargets, masksToRle, roiAlign } from './index.js';

/** sin() between 0 and 1 in float32, as the fixtures' masks. */
function probabilities(shape: readonly number[], phase: number): Tensor {
  const half = callTensorOp('aten::mul.Scalar', wave(shape, phase).to('float32'), 0.5);
  return callTensorOp('aten::add.Scalar', half, 0.5);
}

test('pastes a mask without padding as it is, columns first and zeros first', () => {
  scope(() => {
    const mask = tensor([
      [
        [0, 1],
        [1, 1],
      ],
    ]);
    const runs = masksToRle(mask, tensor([[1, 0, 2, 1]]), { height: 3, width: 4, padding: 0 });
    assert.deepEqual(runs, [Uint32Array.of(4, 1, 1, 2, 4)]);
  });
});

test('starts with a run of no zeros where the first pixel is set', () => {
  scope(() => {
    const runs = masksToRle(ones([1, 2, 2]), tensor([[0, 0, 1, 1]]), { height: 2, width: 2, padding: 0 });
    assert.deepEqual(runs, [Uint32Array.of(0, 4)]);
  });
});

test('keeps the threshold itself unless strict', () => {
  scope(() => {
    const box = tensor([[0, 0, 1, 1]]);
    const options = { height: 2, width: 2, padding: 0 };
    assert.deepEqual(masksToRle(full([1, 2, 2], 0.5), box, options), [Uint32Array.of(0, 4)]);
    assert.deepEqual(masksToRle(full([1, 2, 2], 0.5), box, { ...options, strict: true }), [Uint32Array.of(4)]);
  });
});

test('pastes as torchvision, also across the borders', () => {
  scope(() => {
    const { height, width, boxes, counts } = torchvision.paste;
    const runs = masksToRle(probabilities([4, 5, 5], 0.4), tensor(boxes), { height, width });
    assert.deepEqual(
      runs.map((run) => [...run]),
      counts,
    );
  });
});

test('pastes what resizing the padded mask and thresholding each pixel gives', () => {
  scope(() => {
    const [height, width, side] = [61, 83, 14];
    const boxes = Array.from({ length: 12 }, (_, i) => [3 * i, 2 * i, 3 * i + 4 + i * 3, 2 * i + 2 + i * 2]);
    const masks = probabilities([boxes.length, side, side], 0.2);
    const runs = masksToRle(masks, tensor(boxes), { height, width });
    for (const [i, [x1 = 0, y1 = 0, x2 = 0, y2 = 0]] of boxes.entries()) {
      const grow = (side + 2) / side / 2;
      const [left, right] = [-1, 1].map((sign) => Math.trunc((x1 + x2) / 2 + sign * (x2 - x1) * grow));
      const [top, bottom] = [-1, 1].map((sign) => Math.trunc((y1 + y2) / 2 + sign * (y2 - y1) * grow));
      const mask = callTensorOp('aten::narrow', masks, 0, i, 1);
      const padded = callTensorOp('aten::constant_pad_nd', mask, [1, 1, 1, 1]);
      const size = [bottom! - top! + 1, right! - left! + 1];
      const resized = callTensorOp(
        'aten::upsample_bilinear2d',
        callTensorOp('aten::unsqueeze', padded, 0),
        size,
        false,
      );
      const values = resized.toNumbers();
      const pixels = Array.from({ length: width * height }, (_, at) => {
        const [x, y] = [Math.floor(at / height) - left!, (at % height) - top!];
        return x >= 0 && x < size[1]! && y >= 0 && y < size[0]! && values[y * size[1]! + x]! >= 0.5;
      });
      assert.deepEqual(decode(runs[i]!), pixels, `mask ${i}`);
    }
  });
});

function decode(runs: Uint32Array): boolean[] {
  return [...runs].flatMap((length, i) => new Array<boolean>(length).fill(i % 2 === 1));
}

test('gives empty masks for boxes outside of the image or not finite, and full ones for enormous boxes', () => {
  scope(() => {
    const boxes = tensor([
      [50, 50, 60, 60],
      [Number.NaN, 0, 1, 1],
      [-1e20, -1e20, 1e20, 1e20],
    ]);
    const [outside, nan, enormous] = masksToRle(ones([3, 4, 4]), boxes, { height: 5, width: 7 });
    assert.deepEqual(outside, Uint32Array.of(35));
    assert.deepEqual(nan, Uint32Array.of(35));
    assert.deepEqual(enormous, Uint32Array.of(0, 35));
    assert.deepEqual(masksToRle(zeros([0, 28, 28]), zeros([0, 4]), { height: 5, width: 7 }), []);
  });
});

test('is the same for any number of threads', () => {
  assertSameOnAnyThreads(() => {
    const boxes = Array.from({ length: 9 }, (_, i) => [i, i, i + 20, i + 9]);
    return masksToRle(probabilities([9, 7, 7], 0.1), tensor(boxes), { height: 40, width: 40 });
  });
});

/** Two masks of 20 x 24 pixels, as the fixtures': signs of sines inside of a rectangle. */
const rectangles = [
  { x: 3, y: 2, width: 17, height: 13, phase: 0.2 },
  { x: 10, y: 5, width: 14, height: 15, phase: 0.6 },
] as const;

function crops(): { data: Tensor; table: Tensor; masks: Tensor } {
  const masks = new Uint8Array(2 * 20 * 24);
  const bytes: number[] = [];
  const table: number[][] = [];
  for (const [g, { x, y, width, height, phase }] of rectangles.entries()) {
    table.push([bytes.length, x, y, width, height]);
    const values = wave([height * width], phase).toNumbers();
    for (const [i, value] of values.entries()) {
      bytes.push(value > 0 ? 1 : 0);
      masks[(g * 20 + y + Math.floor(i / width)) * 24 + x + (i % width)] = value > 0 ? 1 : 0;
    }
  }
  return {
    data: tensor(Uint8Array.from(bytes)),
    table: tensor(table, { dtype: 'int64' }),
    masks: tensor(masks, { shape: [2, 1, 20, 24] }),
  };
}

test('cuts targets as torchvision does from full masks', () => {
  scope(() => {
    const { rois, objects, targets } = torchvision.maskTargets;
    const { data, table } = crops();
    const cut = cropMaskTargets(data, table, tensor(rois), tensor(objects, { dtype: 'int64' }), {
      imageHeight: 20,
      imageWidth: 24,
      resolution: 5,
    });
    // Shares of pixels, at most 1, in float32.
    assertClose(callTensorOp('aten::flatten.using_ints', cut), targets, { absolute: 3e-7 });
  });
});

test('cuts targets as RoIAlign of the full mask', () => {
  scope(() => {
    const { data, table, masks } = crops();
    const rois = Array.from({ length: 40 }, (_, k) => [k - 12, (k % 9) - 5, k + 3 + (k % 5), (k % 9) + 2 + (k % 17)]);
    const objects = rois.map((_, k) => k % 2);
    const cut = cropMaskTargets(data, table, tensor(rois), tensor(objects, { dtype: 'int64' }), {
      imageHeight: 20,
      imageWidth: 24,
      resolution: 7,
    });
    const whole = roiAlign(masks, tensor(rois.map((roi, k) => [objects[k]!, ...roi])), { outputSize: 7 });
    assertClose(cut, callTensorOp('aten::squeeze.dim', whole, 1), { absolute: 3e-7 });
  });
});

test('names what does not fit', () => {
  scope(() => {
    const size = { imageHeight: 8, imageWidth: 8, resolution: 4 };
    const rois = tensor([[0, 0, 4, 4]]);
    const index = zeros([1], { dtype: 'int64' });
    const cut = (crop: readonly number[], owner = index): Tensor =>
      cropMaskTargets(zeros([16], { dtype: 'uint8' }), tensor([crop], { dtype: 'int64' }), rois, owner, size);
    assert.throws(() => cut([0, 6, 0, 4, 4]), /crops\[0\] \(x 6, y 0, width 4, height 4\) leaves the image of 8 x 8/);
    assert.throws(() => cut([1, 0, 0, 4, 4]), /at offset 1 is longer than data, which has 16 bytes/);
    assert.throws(
      () => cut([0, 0, 0, 4, 4], ones([1], { dtype: 'int64' })),
      /gt_index\[0\] is 1, but there are 1 crops/,
    );
    assert.throws(
      () => masksToRle(ones([1, 4, 5]), ones([1, 4]), { height: 8, width: 8 }),
      /masks must be \[N, M, M\] floating point, got \[1, 4, 5\]/,
    );
    assert.throws(
      () => masksToRle(ones([1, 4, 4]), ones([1, 4]), { height: 100000, width: 100000 }),
      /bad image size 100000 x 100000/,
    );
  });
});
