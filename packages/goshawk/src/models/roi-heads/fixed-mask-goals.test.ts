import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operatorsThatWait, ops, recordOperators, scope, type Tensor, tensor } from '@goshawk/torch';
import fc from 'fast-check';
import { CONVENTIONS } from '../conventions.js';
import type { Targets } from '../structures.js';
import { fixedMaskGoals } from './fixed-mask-goals.js';
import type { FixedPositives } from './fixed-samples.js';
import { maskGoals } from './mask-loss.js';
import { resizeMasksInside } from './mask-resize.js';

const side = fc.integer({ min: 1, max: 30 });
const mask = fc.record({ x: side, y: side, width: side, height: side, seed: fc.nat() });
const corner = fc.double({ min: -3, max: 60, noNaN: true }).map(Math.fround);
const roi = fc.record({ corners: fc.tuple(corner, corner, corner, corner), object: fc.nat() });
const image = fc.record({
  masks: fc.array(mask, { maxLength: 3 }),
  rois: fc.array(roi, { minLength: 4, maxLength: 4 }),
});

/** A pattern of zeros and ones that differs from mask to mask. */
function pixelsOf({ width, height, seed }: { width: number; height: number; seed: number }): number[] {
  return Array.from({ length: width * height }, (_, i) => ((i * i + seed + 3 * i) % 7 < 4 ? 1 : 0));
}

test('masks resized for all images at once are those of each box alone, bit for bit', () => {
  fc.assert(
    fc.property(fc.array(image, { minLength: 1, maxLength: 3 }), fc.constantFrom(5, 14, 28), (images, resolution) =>
      scope(() => {
        const most = 4;
        const targets = images.map(({ masks }): Targets => {
          let offset = 0;
          const crops = masks.map((own) => {
            offset += own.width * own.height;
            return [offset - own.width * own.height, own.x, own.y, own.width, own.height];
          });
          return {
            boxes: tensor([], { shape: [0, 4] }),
            labels: tensor([], { dtype: 'int64', shape: [0] }),
            masks: {
              pixels: tensor(Uint8Array.from(masks.flatMap(pixelsOf))),
              crops: tensor(crops.flat(), { dtype: 'int64', shape: [crops.length, 5] }),
            },
          };
        });
        const boxes = tensor(images.map(({ rois }) => rois.map(({ corners }) => [...corners])));
        const objectOf = ({ masks }: (typeof images)[number], object: number): number =>
          object % Math.max(1, masks.length);
        const objects = tensor(
          images.map((own) => own.rois.map(({ object }) => objectOf(own, object))),
          { dtype: 'int64' },
        );
        const positives: FixedPositives = {
          valid: ops.ones_like(objects).to('bool'),
          rois: boxes,
          boxes,
          objects,
          labels: objects,
          goals: boxes,
        };
        let goals: Tensor | undefined;
        const batch = { sizes: images.map(() => [64, 64] as const), scales: images.map(() => ({ x: 1, y: 1 })) };
        const operators = recordOperators(() => {
          goals = fixedMaskGoals(positives, targets, batch, resolution, CONVENTIONS.mmdetection);
        });
        assert.equal(operatorsThatWait(operators).size, 0);
        const expected = images.flatMap((own, index) => {
          if (own.masks.length === 0) return new Array<number>(most * resolution * resolution).fill(0);
          const { pixels, crops } = targets[index]!.masks!;
          return [
            ...resizeMasksInside(
              ops.select(boxes, 0, index).toFloat32Array(),
              own.rois.map(({ object }) => objectOf(own, object)),
              pixels.toTypedArray() as Uint8Array,
              crops.toNumbers(),
              resolution,
            ),
          ];
        });
        assert.deepEqual(goals!.toNumbers(), expected);
      }),
    ),
    { numRuns: 60 },
  );
});

test('polygons are drawn as for one image after the other, by each rule of whose they are', () =>
  scope(() => {
    // The first box overlaps the second object most, but belongs to the first.
    const objects = tensor([0, 1, 0, 0], { dtype: 'int64', shape: [2, 2] });
    const valid = tensor([1, 1, 1, 0], { shape: [2, 2] }).to('bool');
    const boxes = tensor([10, 10, 50, 50, 12, 8, 60, 44, 5, 6, 30, 31, 0, 0, 0, 0], { shape: [2, 2, 4] });
    const square = (x: number, y: number, side: number) => [
      Float64Array.of(x, y, x + side, y, x + side, y + side, x, y + side),
    ];
    const targets = [[square(0, 0, 25), square(11, 11, 38)], [square(4, 7, 20)]].map(
      (polygons): Targets => ({
        boxes: tensor([], { shape: [0, 4] }),
        labels: tensor([], { dtype: 'int64', shape: [0] }),
        polygons,
      }),
    );
    const sizes = targets.map(() => [64, 64] as const);
    const scales = targets.map(() => ({ x: 1, y: 1 }));
    const positives: FixedPositives = { valid, rois: boxes, boxes, objects, labels: objects, goals: boxes };
    const drawn = (['detectron', 'maskrcnn_benchmark'] as const).map((rules) => {
      const conventions = CONVENTIONS[rules];
      const goals = fixedMaskGoals(positives, targets, { sizes, scales }, 14, conventions);
      const expected = maskGoals(
        targets.map((target, image) => {
          const own = (values: Tensor): Tensor => ops.narrow(ops.select(values, 0, image), 0, 0, 2 - image);
          return {
            rois: own(boxes),
            boxes: own(boxes),
            objects: own(objects),
            target,
            size: sizes[image]!,
            scale: scales[image]!,
          };
        }),
        14,
        conventions,
      );
      const counted = ops.narrow(goals, 0, 0, 3).toNumbers();
      assert.deepEqual(counted, expected.toNumbers(), rules);
      return counted;
    });
    assert.notDeepEqual(drawn[0], drawn[1]);
  }));
