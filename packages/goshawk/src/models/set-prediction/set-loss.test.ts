import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ops, randn, scope, type Tensor, tensor } from '@goshawk/torch';
import { parseConfig } from '../../config/index.js';
import type { Targets } from '../structures.js';
import { matchProposals } from './match-proposals.js';
import { overlapOf } from './overlap-measures.js';
import { setLosses } from './set-loss.js';

const { model } = parseConfig('model: {type: sparse_rcnn}', { file: 'sparse' });
assert.ok(model.type === 'sparse_rcnn');
const { loss, matching } = model;

const WIDTH = 100;
const HEIGHT = 80;
const CLASSES = 3;

const targetsOf = (boxes: readonly number[][], labels: readonly number[]): Targets => ({
  boxes: tensor(Float32Array.from(boxes.flat()), { shape: [boxes.length, 4] }),
  labels: tensor(BigInt64Array.from(labels, BigInt), { shape: [labels.length] }),
});

const sizes = (images: number): Tensor =>
  tensor(Array.from({ length: images }, () => [WIDTH, HEIGHT, WIDTH, HEIGHT]).flat(), { shape: [images, 1, 4] });

/** [N, P, 4] boxes within the picture and [N, P, classes] logits. */
function predictions(images: number, proposals: number) {
  const corners = ops.mul(ops.rand([images, proposals, 4]), 40);
  const start = ops.narrow(corners, 2, 0, 2);
  return {
    boxes: ops.cat([start, ops.add(ops.add(start, ops.narrow(corners, 2, 2, 2)), 1)], { dim: 2 }),
    logits: randn([images, proposals, CLASSES]),
  };
}

describe('matching', () => {
  test('finds the pairs of least cost among all there are', () =>
    scope(() => {
      const { boxes, logits } = predictions(1, 4);
      const objects = [
        [2, 3, 30, 40],
        [20, 10, 60, 50],
        [1, 1, 9, 9],
      ];
      const labels = [1, 3, 2];
      const { boxes: others, labels: classes } = targetsOf(objects, labels);
      const sets = {
        boxes,
        logits,
        objects: ops.unsqueeze(others, 0),
        labels: ops.unsqueeze(classes, 0),
        sizes: sizes(1),
      };
      const own = matchProposals(sets, [3], { matching, loss }).toNumbers();

      const flat = boxes.toNumbers();
      const scores = logits.toNumbers();
      const cost = (proposal: number, object: number): number => {
        const p = 1 / (1 + Math.exp(-scores[proposal * CLASSES + labels[object]! - 1]!));
        const focal = -0.25 * (1 - p) ** 2 * Math.log(p) + 0.75 * p ** 2 * Math.log(1 - p);
        const box = flat.slice(proposal * 4, proposal * 4 + 4);
        const l1 = box.reduce(
          (sum, v, i) => sum + Math.abs(v - objects[object]![i]!) / (i % 2 === 0 ? WIDTH : HEIGHT),
          0,
        );
        const pair = (values: readonly number[]) => tensor([...values], { shape: [1, 4] });
        return 2 * focal + 5 * l1 - 2 * overlapOf('giou', pair(box), pair(objects[object]!)).item();
      };
      let best: { total: number; of: number[] } = { total: Infinity, of: [] };
      for (let a = 0; a < 4; a++)
        for (let b = 0; b < 4; b++)
          for (let c = 0; c < 4; c++) {
            if (new Set([a, b, c]).size < 3) continue;
            const total = cost(a, 0) + cost(b, 1) + cost(c, 2);
            if (total < best.total) best = { total, of: [a, b, c] };
          }
      assert.deepEqual(own, best.of);
    }));
});

describe('the losses of a set', () => {
  test('sum over stages and pictures and are divided by the objects', () =>
    scope(() => {
      const [first, second] = [predictions(2, 5), predictions(2, 5)];
      const targets = [
        targetsOf([[2, 3, 30, 40]], [1]),
        targetsOf(
          [
            [1, 1, 9, 9],
            [20, 10, 60, 50],
          ],
          [2, 3],
        ),
      ];
      const both = { logits: [first.logits, second.logits], boxes: [first.boxes, second.boxes] };
      const whole = setLosses(both, targets, sizes(2), { loss, matching });
      const apart = [first, second].flatMap(({ logits, boxes }) =>
        targets.map((target, image) => {
          const own = (values: Tensor) => [ops.narrow(values, 0, image, 1)];
          const count = target.labels.size(0);
          const losses = setLosses({ logits: own(logits), boxes: own(boxes) }, [target], sizes(1), { loss, matching });
          return Object.fromEntries(Object.entries(losses).map(([name, value]) => [name, value.item() * count]));
        }),
      );
      for (const [name, value] of Object.entries(whole)) {
        const wanted = apart.reduce((sum, losses) => sum + losses[name]!, 0) / 3;
        assert.ok(Math.abs(value.item() - wanted) < 1e-6 * wanted, `${name}: ${value.item()}, expected ${wanted}`);
      }
      const last = setLosses(both, targets, sizes(2), { loss: { ...loss, allStages: false }, matching });
      assert.ok(last.box_l1!.item() < whole.box_l1!.item());
    }));

  test('of saturated logits are finite, and so are their slopes', () =>
    scope(() => {
      const { boxes } = predictions(1, 3);
      const logits = tensor([200, -200, 50, -50, 200, -200, 0, 0, 0], { shape: [1, 3, CLASSES] });
      logits.requiresGrad = true;
      const losses = setLosses({ logits: [logits], boxes: [boxes] }, [targetsOf([[2, 3, 30, 40]], [2])], sizes(1), {
        loss,
        matching,
      });
      const total = Object.values(losses).reduce((sum, value) => ops.add(sum, value));
      total.backward();
      assert.ok(Number.isFinite(total.item()));
      assert.ok(logits.grad!.toNumbers().every(Number.isFinite));
    }));

  test('of pictures without an object are those of the background alone', () =>
    scope(() => {
      const { boxes, logits } = predictions(2, 4);
      const losses = setLosses({ logits: [logits], boxes: [boxes] }, [targetsOf([], []), targetsOf([], [])], sizes(2), {
        loss,
        matching,
      });
      assert.equal(losses.box_l1!.item(), 0);
      assert.equal(losses.box_iou!.item(), 0);
      const wanted = logits.toNumbers().reduce((sum, logit) => {
        const p = 1 / (1 + Math.exp(-logit));
        return sum - 2 * 0.75 * p ** 2 * Math.log(1 - p);
      }, 0);
      assert.ok(Math.abs(losses.classification!.item() - wanted) < 1e-6 * wanted);
    }));

  test('hold where there are more objects than proposals', () =>
    scope(() => {
      const { boxes, logits } = predictions(1, 2);
      const objects = Array.from({ length: 5 }, (_, i) => [i * 10, i * 8, i * 10 + 9, i * 8 + 7]);
      const losses = setLosses({ logits: [logits], boxes: [boxes] }, [targetsOf(objects, [1, 2, 3, 1, 2])], sizes(1), {
        loss,
        matching,
      });
      for (const value of Object.values(losses)) assert.ok(value.item() > 0);
    }));
});
