import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, noGrad, scope, setThreads, type Tensor, tensor } from '@goshawk/torch';
import fc from 'fast-check';
import { readDetections } from '../fixed-detections.js';
import type { Detections } from '../structures.js';
import { selectFixedRetinaDetections } from './fixed-candidates.js';
import { RETINA_CONVENTIONS } from './retina-conventions.js';
import type { RetinaPrediction } from './retina-head.js';
import { retinaCandidates, type SelectOptions, selectRetinaDetections } from './select-detections.js';

setThreads(1);

const CLASSES = 2;
const options = (conventions: 'torchvision' | 'mmdetection', changes: Partial<SelectOptions> = {}): SelectOptions => ({
  conventions: RETINA_CONVENTIONS[conventions],
  classes: CLASSES,
  preNmsTopN: 1000,
  scoreThreshold: 0.05,
  nmsThreshold: 0.5,
  maxDetections: 100,
  regressionWeights: [1, 1, 1, 1],
  ...changes,
});

/** Maps of one level with one anchor a cell in a row of cells, from rows of logits and of offsets. */
const level = (logits: readonly (readonly number[])[], deltas: readonly (readonly number[])[]) => {
  const map = (rows: readonly (readonly number[])[]) =>
    tensor(rows.flat(), { shape: [1, 1, rows.length, rows[0]!.length] }).permute([0, 3, 1, 2]);
  return { logits: map(logits), offsets: map(deltas) };
};

const logit = (score: number): number => Math.log(score / (1 - score));
const scores = (found: { readonly scores: { toNumbers(): number[] } }): number[] => found.scores.toNumbers();
const WHOLE = { index: 0, size: [1000, 1000], scale: { x: 1, y: 1 } } as const;

function detect(
  prediction: RetinaPrediction,
  anchors: readonly Tensor[],
  image: Parameters<typeof retinaCandidates>[2],
  options: SelectOptions,
): Detections {
  return selectRetinaDetections(retinaCandidates(prediction, anchors, image, options), options);
}

describe('selectRetinaDetections', () => {
  test('refines boxes by the R-CNN formulas in either convention of boxes', () => {
    const offset = fc.double({ min: -1.5, max: 1.5, noNaN: true });
    const side = fc.double({ min: 4, max: 100, noNaN: true });
    fc.assert(
      fc.property(fc.tuple(offset, offset, offset, offset), side, side, (deltas, width, height) =>
        scope(() => {
          const anchor = [300, 310, 300 + width, 310 + height] as const;
          for (const name of ['torchvision', 'mmdetection'] as const) {
            const extra = name === 'mmdetection' ? 1 : 0;
            const row = name === 'mmdetection' ? [2, -9] : [-9, 2, -9];
            const { logits, offsets } = level([row], [deltas]);
            const anchors = [tensor([...anchor], { shape: [1, 4] })];
            const found = noGrad(() => detect({ logits: [logits], offsets: [offsets] }, anchors, WHOLE, options(name)));
            const [w, h] = [width + extra, height + extra];
            const x = anchor[0] + w / 2 + deltas[0] * w;
            const y = anchor[1] + h / 2 + deltas[1] * h;
            const [newW, newH] = [w * Math.exp(deltas[2]), h * Math.exp(deltas[3])];
            const clip = (value: number): number => Math.min(1000 - extra, Math.max(0, value));
            assertClose(
              found.boxes,
              [x - newW / 2, y - newH / 2, x + newW / 2 - extra, y + newH / 2 - extra].map(clip),
              { relative: 1e-5, absolute: 1e-3 },
            );
            assert.deepEqual(found.labels.toNumbers(), [1]);
          }
        }),
      ),
      { numRuns: 60 },
    );
  });

  test('keeps offsets of the size within 16 / 1000 and 1000 / 16; torchvision bounds growth alone', () =>
    scope(() => {
      const anchors = [tensor([400, 400, 499, 499], { shape: [1, 4] })];
      const widthOf = (name: 'torchvision' | 'mmdetection', delta: number): number => {
        const row = name === 'mmdetection' ? [2, -9] : [-9, 2, -9];
        const { logits, offsets } = level([row], [[0, 0, delta, 0]]);
        const found = detect(
          { logits: [logits], offsets: [offsets] },
          anchors,
          { ...WHOLE, size: [9999, 9999] },
          options(name),
        );
        const [x1 = 0, , x2 = 0] = found.boxes.toNumbers();
        return x2 - x1;
      };
      assert.ok(Math.abs(widthOf('mmdetection', -9) - (100 * 16) / 1000 + 1) < 1e-3);
      assert.ok(widthOf('torchvision', -9) < 0.02);
    }));

  // Four cells far from one another: nothing is suppressed.
  const far = () => [tensor([0, 0, 9, 9, 100, 0, 109, 9, 200, 0, 209, 9, 300, 0, 309, 9], { shape: [4, 4] })];
  const still = [0, 0, 0, 0];

  test('takes the best pairs of anchor and class as torchvision, all classes of the best anchors as mmdetection', () =>
    scope(() => {
      const rows = [
        [0.9, 0.8],
        [0.7, 0.1],
        [0.6, 0.2],
        [0.03, 0.02],
      ].map((row) => row.map(logit));
      const pairs = level(
        rows.map((row) => [-9, ...row]),
        rows.map(() => still),
      );
      const anchors = level(
        rows,
        rows.map(() => still),
      );
      const run = (
        name: 'torchvision' | 'mmdetection',
        { logits, offsets }: ReturnType<typeof level>,
        preNmsTopN: number,
      ) => scores(detect({ logits: [logits], offsets: [offsets] }, far(), WHOLE, options(name, { preNmsTopN })));
      assertClose(run('torchvision', pairs, 2), [0.9, 0.8]);
      assertClose(run('mmdetection', anchors, 2), [0.9, 0.8, 0.7, 0.1]);
      assertClose(run('torchvision', pairs, 1000), [0.9, 0.8, 0.7, 0.6, 0.2, 0.1]);
    }));

  test('lets the probability decide at the threshold, where a logit has digits that it has not', () =>
    scope(() => {
      // The sigmoid of 1e-9 is 0.5, which is not above it.
      const rows = [[1e-9], [1e-6], [-1e-9], [-9]].map(([value = 0]) => [-9, value, -9]);
      const { logits, offsets } = level(
        rows,
        rows.map(() => still),
      );
      const prediction = { logits: [logits], offsets: [offsets] };
      const own = options('torchvision', { scoreThreshold: 0.5 });
      const found = detect(prediction, far(), WHOLE, own);
      assert.equal(found.scores.length, 1);
      assert.ok(scores(found)[0]! > 0.5);
      const ofAxes = (value: number) => tensor([value, value, value, value], { shape: [1, 1, 4] });
      const frames = { sizes: ofAxes(1000), originals: ofAxes(1000), scales: ofAxes(1) };
      const [fixed] = readDetections(selectFixedRetinaDetections(prediction, far(), frames, own));
      assert.deepEqual(scores(fixed!), scores(found));
    }));

  test('never returns the logit that stands for no class', () =>
    scope(() => {
      const { logits, offsets } = level(
        [
          [4, -9, 1],
          [4, 2, -9],
          [4, -9, -9],
          [4, -9, -9],
        ],
        [still, still, still, still],
      );
      const found = detect({ logits: [logits], offsets: [offsets] }, far(), WHOLE, options('torchvision'));
      assert.deepEqual(found.labels.toNumbers(), [1, 2]);
    }));

  test('suppresses within a class, over all levels, in the pixels of the convention', () =>
    scope(() => {
      const boxes = () => [tensor([0, 0, 9, 9], { shape: [1, 4] }), tensor([1, 0, 10, 9], { shape: [1, 4] })];
      const levels = [level([[2, 1]], [still]), level([[1.5, -9]], [still])];
      const found = detect(
        { logits: levels.map((l) => l.logits), offsets: levels.map((l) => l.offsets) },
        boxes(),
        { index: 0, size: [100, 100], scale: { x: 2, y: 4 } },
        options('mmdetection'),
      );
      assert.equal(found.pixels, 'image');
      assert.deepEqual(found.labels.toNumbers(), [1, 2]);
      assert.deepEqual(found.boxes.toNumbers(), [0, 0, 4.5, 2.25, 0, 0, 4.5, 2.25]);
    }));

  test('keeps at most the limit, and finds nothing in a picture where nothing is likely', () =>
    scope(() => {
      const rows = [0.9, 0.8, 0.7, 0.6].map((score) => [logit(score), -9]);
      const { logits, offsets } = level(
        rows,
        rows.map(() => still),
      );
      const limited = detect(
        { logits: [logits], offsets: [offsets] },
        far(),
        WHOLE,
        options('mmdetection', { maxDetections: 3 }),
      );
      assertClose(scores(limited), [0.9, 0.8, 0.7]);
      for (const name of ['torchvision', 'mmdetection'] as const) {
        const empty = level(
          rows.map(() => (name === 'mmdetection' ? [-9, -9] : [-9, -9, -9])),
          rows.map(() => still),
        );
        const found = detect({ logits: [empty.logits], offsets: [empty.offsets] }, far(), WHOLE, options(name));
        assert.deepEqual(found.boxes.shape, [0, 4]);
      }
    }));
});
