import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operatorsThatWait, ops, recordOperators, scope, type Tensor, tensor } from '@goshawk/torch';
import fc from 'fast-check';
import { CONVENTIONS } from '../conventions.js';
import type { Targets } from '../structures.js';
import { fixedMaskGoals } from './fixed-mask-goals.js';
import type { FixedPositives } from './fixed-samples.js';
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
