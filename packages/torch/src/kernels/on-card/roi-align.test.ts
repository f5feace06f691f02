// RoIAlign on a card against the CPU's, whose own tests compare with its definition. With channels side by side both add the same
// terms in the same order; elsewhere, and in gradients, orders differ.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose, type Tolerance } from '../../checks/assert-close.js';
import { callOp, callTensorOp } from '../../tensor/dispatch.js';
import type { DType } from '../../tensor/dtype.js';
import { type MemoryFormat, scope, type Tensor, tensor, zeros } from '../../tensor/index.js';
import { callOnEmulatedCard } from '../../testing/emulated-card.js';
import { wave } from '../../testing/wave.js';

const formats: readonly MemoryFormat[] = ['contiguous_format', 'channels_last'];
const dtypes: readonly DType[] = ['float32', 'float64', 'float16', 'bfloat16'];
const exact: Tolerance = { absolute: 0, relative: 0 };

/** Sums of some hundred terms in another order, rounded to the type once. */
const anotherOrder: Readonly<Record<string, Tolerance>> = {
  float32: { absolute: 4e-6, relative: 1e-5 },
  float64: { absolute: 1e-13, relative: 1e-13 },
  float16: { absolute: 4e-6, relative: 2 ** -10 },
  bfloat16: { absolute: 4e-6, relative: 2 ** -7 },
};

const SCALES = [0.25, 0.125, 0.0625];

/** Ordinary RoIs, ones beyond the map on each side, without extent, turned round, huge and not finite, on all levels. */
const BOXES: readonly (readonly [number, number, number, number, number])[] = [
  [0, 3.3, 5.1, 40.7, 61.2],
  [1, 0, 0, 15, 15],
  [0, 70, 60, 110, 99],
  [1, -30.5, -12, 9, 20],
  [0, 20, 30, 20, 30],
  [1, 40, 50, 12, 9],
  [0, -500, -400, 900, 1000],
  [0, 1e30, 1e30, 3e30, 3e30],
  [1, -1e9, -1e9, 1e9, 1e9],
  [0, Number.NaN, 0, 30, 30],
  [1, 0, 0, Number.POSITIVE_INFINITY, 9],
  [1, 7.9, 0.1, 8.6, 70.3],
];

function formatted(input: Tensor, format: MemoryFormat): Tensor {
  return callTensorOp('aten::contiguous', input, format);
}

interface Case {
  readonly dtype: DType;
  readonly format: MemoryFormat;
  readonly channels: number;
  readonly bins: readonly [number, number];
  readonly samplingRatio: number;
  readonly aligned: boolean;
}

function* cases(): Generator<Case> {
  let turn = 0;
  for (const aligned of [false, true])
    for (const dtype of dtypes)
      for (const format of formats) {
        yield {
          dtype,
          format,
          aligned,
          samplingRatio: turn % 3 === 0 ? 2 : 0,
          // By fours, one by one, more than a warp's share, a single one.
          channels: [8, 7, 140, 1][((turn >> 1) + Number(aligned)) % 4]!,
          bins: turn++ % 3 === 1 ? [2, 3] : [5, 5],
        };
      }
}

/** A pyramid of two images. */
function pyramid({ dtype, format, channels }: Case): Tensor[] {
  return SCALES.map((scale, level) => formatted(wave([2, channels, 96 * scale, 112 * scale], level).to(dtype), format));
}

/** The boxes, from all levels in turn. */
function listed(dtype: DType): { rois: Tensor; levels: Tensor } {
  return {
    rois: tensor(BOXES, { dtype: dtype === 'float64' ? 'float64' : 'float32' }),
    levels: tensor(
      BOXES.map((_, k) => k % SCALES.length),
      { dtype: 'int64' },
    ),
  };
}

test('a card pools each RoI from its level', () => {
  for (const each of cases())
    scope(() => {
      const { dtype, format, bins, samplingRatio, aligned } = each;
      const { rois, levels } = listed(dtype);
      const args = [pyramid(each), rois, levels, SCALES, ...bins, samplingRatio, aligned] as const;
      const found = callOnEmulatedCard('roi_align_multilevel', ...args) as Tensor;
      const expected = callTensorOp('goshawk::roi_align_multilevel', ...args);
      assert.equal(found.dtype, dtype);
      assert.deepEqual(found.strides, expected.strides);
      // One channel lies as a plane in either format.
      const isSameOrder = format === 'channels_last' && each.channels > 1;
      assertClose(found, expected, isSameOrder ? exact : anotherOrder[dtype]!);
    });
});

test('a card returns gradients to the pixels that were read, in any order or in none', () => {
  for (const each of cases())
    scope(() => {
      const { dtype, format, channels, bins, samplingRatio, aligned } = each;
      const { rois, levels } = listed(dtype);
      const sizes = pyramid(each).flatMap((map) => map.shape);
      const gradient = formatted(wave([rois.shape[0]!, channels, ...bins], 0.4).to(dtype), format);
      const args = [gradient, rois, levels, sizes, SCALES, samplingRatio, aligned, format === 'channels_last'] as const;
      const expected = callOp('goshawk::roi_align_backward', ...args) as Tensor[];
      for (const deterministic of [false, true]) {
        const found = callOnEmulatedCard('roi_align_backward', ...args, deterministic) as Tensor[];
        assert.equal(found.length, expected.length);
        for (const [level, sums] of found.entries()) {
          assert.equal(sums.dtype, dtype);
          assert.ok(sums.isContiguous(format));
          assertClose(sums, expected[level]!, anotherOrder[dtype]!);
        }
      }
    });
});

test('sums without an order are the same bits for RoIs in another order', () => {
  scope(() => {
    const rois = tensor(Array.from({ length: 60 }, (_, k) => [0, k % 7, (k * 3) % 11, 12 + (k % 13), 15 + (k % 9)]));
    const levels = zeros([60], { dtype: 'int64' });
    const gradient = formatted(wave([60, 36, 3, 3], 0.2).to('float32'), 'channels_last');
    const back = tensor([...Array(60).keys()].reverse(), { dtype: 'int64' });
    const turned = (rows: Tensor): Tensor => callTensorOp('aten::index_select', rows, 0, back);
    const [forth, reversed] = [
      [rois, gradient],
      [turned(rois), turned(gradient)],
    ].map(([boxes, values]) =>
      (
        callOnEmulatedCard(
          'roi_align_backward',
          values!,
          boxes!,
          levels,
          [1, 36, 24, 24],
          [1],
          2,
          false,
          true,
          true,
        ) as [Tensor]
      )[0].toNumbers(),
    );
    assert.deepEqual(reversed, forth);
  });
});

test('a RoI longer than the tables of a block is read sample by sample', () => {
  scope(() => {
    for (const [bins, width] of [
      // 16 entries a bin and axis; more bins than a table has.
      [32, 1200],
      [70, 400],
    ] as const)
      for (const format of formats) {
        const input = formatted(wave([1, 4, 6, width], 0.3).to('float32'), format);
        const rois = tensor([
          [0, -20, 1, width + 30, 5],
          [0, 3, 0, 60, 4],
        ]);
        const levels = zeros([2], { dtype: 'int64' });
        const args = [[input], rois, levels, [1], 2, bins, 0, true] as const;
        const found = callOnEmulatedCard('roi_align_multilevel', ...args) as Tensor;
        const expected = callTensorOp('goshawk::roi_align_multilevel', ...args);
        assertClose(found, expected, { absolute: 5e-7 });
        const back = [expected, rois, levels, input.shape, [1], 0, true, format === 'channels_last'] as const;
        const [sums] = callOnEmulatedCard('roi_align_backward', ...back) as Tensor[];
        const [wanted] = callOp('goshawk::roi_align_backward', ...back) as Tensor[];
        assertClose(sums!, wanted!, { absolute: 5e-7 });
      }
  });
});

test('a level or an image that is not there gives zeros on a card, and gets no gradient', () => {
  scope(() => {
    for (const format of formats) {
      const inputs = [1, 2].map((phase) => formatted(wave([2, 4, 9, 9], phase).to('float32'), format));
      const rois = tensor([
        [0, 0, 0, 8, 8],
        [1, 0, 0, 8, 8],
        [2, 0, 0, 8, 8],
        [-1, 0, 0, 8, 8],
        [Number.NaN, 0, 0, 8, 8],
      ]);
      const levels = tensor([2, -1, 0, 1, 0], { dtype: 'int64' });
      const pooled = callOnEmulatedCard('roi_align_multilevel', inputs, rois, levels, [1, 1], 2, 2, 2, false) as Tensor;
      assertClose(pooled, new Array(5 * 4 * 4).fill(0), exact);
      const sizes = inputs.flatMap((map) => map.shape);
      const isLast = format === 'channels_last';
      const gradient = wave([5, 4, 2, 2], 1).to('float32');
      for (const sums of callOnEmulatedCard(
        'roi_align_backward',
        gradient,
        rois,
        levels,
        sizes,
        [1, 1],
        2,
        false,
        isLast,
      ) as Tensor[])
        assertClose(sums, new Array(2 * 4 * 81).fill(0), exact);
    }
  });
});

test('a card takes uint8 masks, no RoIs, and gradients that are not finite', () => {
  scope(() => {
    const mask = callTensorOp('aten::gt.Scalar', wave([1, 1, 12, 12], 0.3), 0).to('uint8');
    const rois = tensor([[0, 1, 2, 9, 11]]);
    const none = zeros([0, 5]);
    const level = zeros([1], { dtype: 'int64' });
    const noLevel = zeros([0], { dtype: 'int64' });
    const args = [[mask], rois, level, [1], 4, 4, 0, true] as const;
    const found = callOnEmulatedCard('roi_align_multilevel', ...args) as Tensor;
    assert.equal(found.dtype, 'float32');
    assertClose(found, callTensorOp('goshawk::roi_align_multilevel', ...args), anotherOrder.float32!);

    const pooled = callOnEmulatedCard(
      'roi_align_multilevel',
      [wave([1, 4, 5, 5], 1)],
      none,
      noLevel,
      [1],
      7,
      7,
      2,
      true,
    );
    assert.deepEqual((pooled as Tensor).shape, [0, 4, 7, 7]);
    for (const deterministic of [false, true]) {
      const [sums] = callOnEmulatedCard(
        'roi_align_backward',
        zeros([0, 4, 7, 7]),
        none,
        noLevel,
        [1, 4, 5, 5],
        [1],
        2,
        true,
        false,
        deterministic,
      ) as Tensor[];
      assertClose(sums!, new Array(100).fill(0), exact);
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
        const gradient = tensor([[[[1, value]]]]);
        const [spoilt] = callOnEmulatedCard(
          'roi_align_backward',
          gradient,
          rois,
          level,
          [1, 1, 12, 12],
          [1],
          2,
          true,
          false,
          deterministic,
        ) as Tensor[];
        assert.ok(!Number.isFinite(callTensorOp('aten::sum', spoilt!).item()));
      }
    }
  });
});
