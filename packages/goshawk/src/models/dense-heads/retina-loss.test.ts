import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, ops, scope, setThreads, tensor } from '@goshawk/torch';
import fc from 'fast-check';
import { RETINA_CONVENTIONS } from './retina-conventions.js';
import { assignAnchors, type RetinaLossOptions, retinaLosses } from './retina-loss.js';

setThreads(1);

type Box = readonly [number, number, number, number];

const box: fc.Arbitrary<Box> = fc
  .tuple(
    fc.integer({ min: 0, max: 40 }),
    fc.integer({ min: 0, max: 40 }),
    fc.integer({ min: 1, max: 30 }),
    fc.integer({ min: 1, max: 30 }),
  )
  .map(([x, y, width, height]) => [x, y, x + width, y + height] as const);

const scenes = fc.record({
  anchors: fc.array(box, { minLength: 1, maxLength: 40 }),
  objects: fc.array(fc.record({ box, label: fc.integer({ min: 1, max: 3 }) }), { maxLength: 6 }),
});

const options = (conventions: keyof typeof RETINA_CONVENTIONS, low = 0.5): RetinaLossOptions => ({
  conventions: RETINA_CONVENTIONS[conventions],
  classes: 3,
  foregroundIou: 0.5,
  backgroundIou: low,
  focalAlpha: 0.25,
  focalGamma: 2,
  boxLoss: 'smooth_l1',
  smoothL1Beta: 0.11,
  regressionWeights: [1, 1, 1, 1],
  boxLossWeight: 1,
});

/** Intersection over union; `extra` is 1 where boxes include their last pixel. */
function iou(a: Box, b: Box, extra: number): number {
  const side = (from: number, to: number): number => Math.max(0, to - from + extra);
  const shared = side(Math.max(a[0], b[0]), Math.min(a[2], b[2])) * side(Math.max(a[1], b[1]), Math.min(a[3], b[3]));
  const area = (c: Box): number => side(c[0], c[2]) * side(c[1], c[3]);
  return Math.fround(shared / (area(a) + area(b) - shared));
}

/**
 * Section 4 of the RetinaNet paper, "anchors are assigned to ground-truth object boxes using an IoU threshold of 0.5", and
 * the rule of both systems that every object's best anchors are positive. In torchvision those keep their own best object,
 * in mmdetection the last object takes them.
 */
function definition(
  anchors: readonly Box[],
  objects: readonly Box[],
  low: number,
  lastClaims: boolean,
  extra: number,
): number[] {
  const overlaps = anchors.map((anchor) => objects.map((object) => iou(object, anchor, extra)));
  const best = objects.map((_, g) => Math.max(...overlaps.map((row) => row[g]!)));
  return overlaps.map((row) => {
    if (objects.length === 0) return -1;
    const top = Math.max(...row);
    const own = row.indexOf(top);
    const claims = row.flatMap((value, g) => (value === best[g] && (best[g] > 0 || !lastClaims) ? [g] : []));
    if (claims.length > 0) return lastClaims ? claims[claims.length - 1]! : own;
    return top >= 0.5 ? own : top >= Math.fround(low) ? -2 : -1;
  });
}

const targetsOf = (objects: readonly { readonly box: Box; readonly label: number }[]) => ({
  boxes: tensor(
    objects.flatMap((object) => [...object.box]),
    { shape: [objects.length, 4] },
  ),
  labels: tensor(BigInt64Array.from(objects, (object) => BigInt(object.label))),
});

const tensorOf = (boxes: readonly Box[]) => tensor(boxes.flat(), { shape: [boxes.length, 4] });

describe('assignAnchors', () => {
  for (const [name, low] of [
    ['torchvision', 0.4],
    ['mmdetection', 0.5],
    ['mmdetection', 0.3],
    ['maskrcnn_benchmark', 0.4],
  ] as const) {
    test(`matches as ${name} does between ${low} and 0.5`, () => {
      const settings = options(name, low);
      const { hasBackgroundLogit, lastObjectClaims, boxes } = settings.conventions;
      fc.assert(
        fc.property(scenes, ({ anchors, objects }) =>
          scope(() => {
            const own = assignAnchors(tensorOf(anchors), [targetsOf(objects)], settings);
            const wanted = definition(
              anchors,
              objects.map((o) => o.box),
              low,
              lastObjectClaims,
              boxes === 'inclusive' ? 1 : 0,
            );
            const classes = wanted.map((match) =>
              match < 0 ? match : objects[match]!.label - (hasBackgroundLogit ? 0 : 1),
            );
            assert.deepEqual(own.classes.reshape([-1]).toNumbers(), classes);
            const positive = wanted.flatMap((match, i) => (match >= 0 ? [i] : []));
            assert.deepEqual(own.positive.toNumbers(), positive);
            assert.deepEqual(
              own.boxes.toNumbers(),
              positive.flatMap((i) => [...objects[wanted[i]!]!.box]),
            );
            assert.deepEqual(
              own.anchors.toNumbers(),
              positive.flatMap((i) => [...anchors[i]!]),
            );
          }),
        ),
        { numRuns: 150 },
      );
    });
  }

  test('divides by the positives of each image and the images, or by those of all images', () =>
    scope(() => {
      const anchors = tensorOf([
        [0, 0, 10, 10],
        [0, 0, 10, 10],
        [30, 30, 40, 40],
      ]);
      const targets = [targetsOf([{ box: [0, 0, 10, 10], label: 1 }]), targetsOf([])];
      const weights = (name: keyof typeof RETINA_CONVENTIONS) => {
        const { imageWeights, positiveWeights, positive } = assignAnchors(anchors, targets, options(name));
        assert.deepEqual(positive.toNumbers(), [0, 1]);
        return [imageWeights.toNumbers(), positiveWeights.toNumbers()];
      };
      // Two positives in the first image, none in the second, which counts as one.
      assert.deepEqual(weights('torchvision'), [
        [0.25, 0.5],
        [0.25, 0.25],
      ]);
      const third = Math.fround(1 / 3);
      assert.deepEqual(weights('mmdetection'), [
        [third, third],
        [third, third],
      ]);
      // The classes by the two positives and the two images, the boxes by the positives.
      assert.deepEqual(weights('maskrcnn_benchmark'), [
        [0.25, 0.25],
        [0.5, 0.5],
      ]);
    }));
});

describe('retinaLosses', () => {
  // Two levels of one cell with one anchor each; the first is the object moved by a tenth of its width.
  const anchors = () =>
    tensorOf([
      [0, 0, 9, 19],
      [100, 100, 139, 139],
    ]);
  const targets = () => [targetsOf([{ box: [1, 0, 10, 19], label: 2 }])];
  const prediction = (offset: number) => ({
    logits: [ops.full([1, 3, 1, 1], -2, { dtype: 'float32' }), ops.full([1, 3, 1, 1], 1, { dtype: 'float32' })],
    offsets: [tensor([offset, 0, 0, 0], { shape: [1, 4, 1, 1] }), ops.zeros([1, 4, 1, 1], { dtype: 'float32' })],
  });

  test('is the focal loss of all logits and the smooth L1 of the offsets of positives', () =>
    scope(() => {
      const losses = retinaLosses(prediction(0.05), anchors(), targets(), options('mmdetection'));
      const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
      const absent = (x: number): number => -0.75 * sigmoid(x) ** 2 * Math.log(1 - sigmoid(x));
      const present = -0.25 * (1 - sigmoid(-2)) ** 2 * Math.log(sigmoid(-2));
      assertClose(losses.loss_classification!, [2 * absent(-2) + present + 3 * absent(1)]);
      // 0.05 off: below beta, quadratic.
      assertClose(losses.loss_box_reg!, [0.05 ** 2 / (2 * 0.11)], { relative: 1e-4 });
      // Offsets ten times as large, at a quarter of the weight.
      const weighted = { ...options('mmdetection'), regressionWeights: [10, 10, 5, 5], boxLossWeight: 0.25 } as const;
      const tenfold = retinaLosses(prediction(0.95), anchors(), targets(), weighted);
      assertClose(tenfold.loss_box_reg!, [(0.05 ** 2 / (2 * 0.11)) * 0.25], { relative: 1e-3 });
      const far = retinaLosses(prediction(1.1), anchors(), targets(), options('mmdetection'));
      assertClose(far.loss_box_reg!, [1 - 0.11 / 2], { relative: 1e-4 });
    }));

  test('takes the distance of offsets, or the generalized IoU of boxes, instead', () =>
    scope(() => {
      const l1 = retinaLosses(prediction(0.4), anchors(), targets(), { ...options('mmdetection'), boxLoss: 'l1' });
      assertClose(l1.loss_box_reg!, [0.3], { relative: 1e-4 });
      // Continuous boxes 9 x 19, 1 apart: they share 8 x 19 of the 10 x 19 that is around both, all of it covered.
      const giou = retinaLosses(prediction(0), anchors(), targets(), {
        ...options('torchvision'),
        classes: 2,
        boxLoss: 'giou',
      });
      assertClose(giou.loss_box_reg!, [1 - 8 / 10], { relative: 1e-4 });
    }));

  test('gives every map a gradient where nothing is there', () =>
    scope(() => {
      const { logits, offsets } = prediction(0.5);
      for (const map of [...logits, ...offsets]) map.requiresGrad = true;
      const losses = retinaLosses({ logits, offsets }, anchors(), [targetsOf([])], options('mmdetection'));
      assert.equal(losses.loss_box_reg!.item(), 0);
      ops.add(losses.loss_classification!, losses.loss_box_reg!).backward();
      for (const map of [...logits, ...offsets]) assert.ok(map.grad);
      assert.deepEqual(offsets[0]!.grad!.toNumbers(), [0, 0, 0, 0]);
      assert.ok(logits[0]!.grad!.toNumbers().every((value) => value > 0));
    }));
});
