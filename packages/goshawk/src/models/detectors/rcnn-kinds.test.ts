// Every kind of two-stage model by every system's rules: it takes training steps and predicts, in tensors of fixed size with the losses,
// gradients and detections of exact sizes and without an operator that makes the host wait for a card.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import {
  assertClose,
  operatorsThatWait,
  ops,
  recordOperators,
  scope,
  setThreads,
  type Tensor,
  tensor,
} from '@goshawk/torch';
import { batchOf, build, KINDS, RULES, SCALE } from '../../testing/rcnn-kinds.js';
import { assertSameDetections, assertSameStep, type Step, stepOf } from '../../testing/recorded-step.js';
import { SQUARE_KEYPOINTS, SQUARES, squareTargets } from '../../testing/tiny-targets.js';
import { CONVENTIONS } from '../conventions.js';
import { withFrames } from '../padded.js';
import { poolRois } from '../roi-heads/roi-pooler.js';
import type { Detections } from '../structures.js';
import { type Rcnn, totalLoss } from './rcnn.js';

before(() => setThreads(1));

const allFinite = (values: Tensor): boolean => values.toFloat32Array().every(Number.isFinite);

const MIXED = [SQUARES, SQUARES.slice(1), []];

/** What makes the host wait once, by the rules and the kind that ask for it; nothing else does. */
function expectedWaits(kind: string, rules: (typeof RULES)[number]): Record<string, number> {
  const isDrawn = kind.includes('maskHead') && CONVENTIONS[rules].maskTargets.endsWith('polygons');
  const levels = kind.includes('stored') ? 0 : /type: none|finestOnly/.test(kind) ? 1 : 5;
  const uploads = levels + (isDrawn ? 1 : 0);
  return {
    // The first step brings the anchors of a cell of each level to the device.
    ...(uploads > 0 && { 'goshawk::from_host': uploads }),
    // The masks of Detectron and maskrcnn-benchmark are drawn from polygons, by the host.
    ...(isDrawn && { 'goshawk::to_host': 1 }),
    // A batch norm's statistics are those of real rows alone, of the box head's and of the mask head's.
    ...(kind.includes('norm: batch') && { 'aten::nonzero': 2 }),
  };
}

for (const [what, kind] of Object.entries(KINDS)) {
  describe(what, () => {
    for (const rules of RULES) {
      const exact = (): Rcnn => build(kind, rules, { sizing: 'exact' });

      test(`takes a training step and predicts, in fixed sizes as in exact ones and without waiting, by ${rules}'s rules`, () => {
        scope(() => {
          const [model, fixed] = [exact(), build(kind, rules, { sizing: 'fixed' })];
          const [step, stepOfFixed] = [stepOf(model, MIXED), stepOf(fixed, MIXED)];
          assertWhole(step, kind);
          for (const [name, gradient] of step.gradients) {
            // Of the coarse levels' few anchors and RoIs none need be drawn.
            if (/layer_blocks\.[1-3]\./.test(name)) continue;
            assert.ok(
              gradient.toFloat32Array().some((value) => value !== 0),
              `nothing reaches ${name}`,
            );
          }
          assert.ok(stepOfFixed.operators.has('goshawk::match_batch'));
          assertSameStep(stepOfFixed, step);
          assert.deepEqual(Object.fromEntries(operatorsThatWait(stepOfFixed.operators)), expectedWaits(kind, rules));

          for (const each of [model, fixed]) each.eval();
          const batch = withFrames(batchOf(MIXED));
          let found: readonly Detections[] = [];
          const operators = recordOperators(() => {
            found = fixed.predict(batch);
          });
          const wanted = model.predict(batch);
          assert.equal(wanted.length, MIXED.length);
          for (const each of wanted) assertDetections(each, kind);
          assertSameDetections(found, wanted);
          assert.ok(operators.has('goshawk::nms_first'));
          // One number an image; keypoints are decoded one detection after the other, from boxes that the host reads.
          if (!kind.includes('keypointHead'))
            assert.deepEqual(Object.fromEntries(operatorsThatWait(operators)), { 'goshawk::to_host': 1 });
        });
      });

      test(`takes training steps without objects, by ${rules}'s rules`, () => {
        const model = exact();
        for (const objects of [[[], []], [[]]]) scope(() => assertWhole(stepOf(model, objects), kind));
      });
    }
  });
}

/** All losses of the kind, and a gradient of every parameter that learns, in numbers. */
function assertWhole({ losses, gradients }: Step, kind: string): void {
  const expected = [
    ...(kind.includes('stored') ? [] : ['loss_objectness', 'loss_rpn_box_reg']),
    ...(kind.startsWith('type: rpn') ? [] : ['loss_box_reg', 'loss_classifier']),
    ...(kind.includes('maskHead') ? ['loss_mask'] : []),
    ...(kind.includes('keypointHead') ? ['loss_keypoint'] : []),
  ];
  assert.deepEqual(Object.keys(losses).toSorted(), expected.toSorted());
  for (const [name, loss] of Object.entries(losses)) assert.ok(Number.isFinite(loss.item()), name);
  for (const [name, gradient] of gradients)
    assert.ok(gradient && allFinite(gradient), `${name} has ${gradient ?? 'no gradient'}`);
}

function assertDetections({ boxes, scores, labels, masks, keypoints }: Detections, kind: string): void {
  const count = scores.length;
  assert.ok(count > 0 && allFinite(boxes) && allFinite(scores));
  assert.ok(labels.toNumbers().every((label) => label === 1 || label === 2));
  assert.equal(masks !== undefined, kind.includes('maskHead'));
  assert.equal(keypoints !== undefined, kind.includes('keypointHead'));
  if (masks) {
    const cells = Number(/maskHead:.*poolSize: (\d+)/.exec(kind)?.[1] ?? (kind.includes('stage5') ? 7 : 14));
    const side = cells * (kind.includes('upsampleRatio: 2') ? 4 : 2);
    assert.deepEqual(masks.shape, [count, side, side]);
    assert.ok(masks.toFloat32Array().every((probability) => probability >= 0 && probability <= 1));
  }
  if (keypoints) {
    assert.deepEqual(keypoints.shape, [count, SQUARE_KEYPOINTS, 4]);
    assert.ok(allFinite(keypoints));
  }
}

describe('an image in which nothing is proposed', () => {
  for (const what of [
    'Faster R-CNN on a pyramid',
    'Faster R-CNN on stage 4',
    'Mask R-CNN with batch norms in its heads',
    'Mask R-CNN on stage 4, stage 5 shared',
    'Keypoint R-CNN on a pyramid',
  ]) {
    test(`is learned from and predicted without detections: ${what}`, () => {
      const kind = KINDS[what]!.replace('batchSizePerImage: 32 }', 'batchSizePerImage: 32, scoreThreshold: 1 }');
      const model = build(kind, 'detectron');
      scope(() => {
        const losses = model.loss(batchOf([[]]), [squareTargets([])]);
        for (const [name, loss] of Object.entries(losses)) assert.ok(Number.isFinite(loss.item()), name);
        totalLoss(losses).backward();
      });
      for (const [name, parameter] of model.namedParameters())
        assert.ok(!parameter.requiresGrad || (parameter.grad && allFinite(parameter.grad)), name);
      scope(() => {
        const [found] = model.eval().predict(batchOf([[]]));
        assert.equal(found!.scores.length, 0);
      });
    });
  }
});

describe('the mask head that shares stage 5 with the box head', () => {
  test('learns from the features of the box head as from those it would compute itself', () => {
    const kind = KINDS['Mask R-CNN on stage 4, stage 5 shared']!;
    const model = build(kind, 'detectron');
    scope(() => {
      const batch = batchOf([SQUARES, []]);
      const targets = [SQUARES, []].map((boxes) => squareTargets(boxes));
      const loss = model.loss(batch, targets).loss_mask!.item();
      // The same step with a mask head of its own that has the box head's very weights.
      const own = build(kind.replace('kind: stage5_shared', 'kind: stage5'), 'detectron');
      const state = new Map(model.stateDict());
      for (const [name, value] of model.stateDict())
        if (name.startsWith('roi_heads.box_head.')) state.set(name.replace('box_head', 'mask_head'), value);
      own.loadStateDict(state);
      assertClose([own.loss(batch, targets).loss_mask!.item()], [loss], { relative: 1e-4 });
    });
  });

  test('pools in evaluation as the box head does, whatever its own settings', () => {
    const kind = KINDS['Mask R-CNN on stage 4, stage 5 shared']!;
    scope(() => {
      const masksOf = (text: string): Tensor =>
        build(text, 'detectron')
          .eval()
          .predict(batchOf([SQUARES]))[0]!.masks!;
      assert.deepEqual(
        masksOf(kind.replace('stage5_shared,', 'stage5_shared, poolSize: 7,')).shape,
        masksOf(kind).shape,
      );
    });
  });
});

describe('masks and heatmaps', () => {
  for (const what of ['Mask R-CNN on a pyramid', 'Keypoint R-CNN on a pyramid']) {
    test(`are the same of boxes in image pixels as of the same boxes in network pixels: ${what}`, () => {
      const model = build(KINDS[what]!, 'detectron').eval();
      scope(() => {
        const batch = batchOf([SQUARES, SQUARES.slice(1)]);
        const features = model.features(batch);
        const found = (pixels: 'network' | 'image') =>
          [SQUARES, SQUARES.slice(1)].map((squares) => {
            const { boxes, labels } = squareTargets(squares);
            const own = pixels === 'image' ? ops.div(boxes, SCALE.x) : boxes;
            return { pixels, boxes: own, labels, scores: ops.ones([squares.length]) };
          });
        const mapsOf = (pixels: 'network' | 'image'): Tensor =>
          ops.cat([
            ...(model.masks(batch, features, found(pixels)) ?? model.heatmaps(batch, features, found(pixels))!),
          ]);
        const maps = mapsOf('network');
        assert.equal(maps.size(0), 3);
        assertClose(mapsOf('image'), maps, { absolute: 1e-5 });
      });
    });
  }
});

describe('a mask head with batch norms', () => {
  test('has in training the statistics of its RoIs alone', () => {
    const kind = KINDS['Mask R-CNN with batch norms in its heads']!.replace(
      'mask_rcnn',
      'mask_rcnn\n  proposals: stored',
    );
    const model = build(kind, 'mmdetection');
    scope(() => {
      const statistics = (of: Rcnn): number[] =>
        [...of.stateDict()]
          .filter(([name]) => name.startsWith('roi_heads.mask_head') && /running_(mean|var)$/.test(name))
          .flatMap(([, value]) => value.toNumbers());
      // The two objects' own boxes are the positives: no proposal comes near.
      const far = tensor([0, 40, 20, 60], { shape: [1, 4] });
      const batch = { ...batchOf([SQUARES]), proposals: [far] };
      model.loss(batch, [squareTargets(SQUARES)]);
      const other = build(kind, 'mmdetection');
      const levels = other.features(batch).slice(0, other.backbone.roiLevels);
      const pooled = poolRois(
        levels,
        [squareTargets(SQUARES).boxes],
        other.backbone.strides.slice(0, levels.length),
        { poolSize: 14, pooling: 'align', samplingRatio: 2 },
        CONVENTIONS.mmdetection,
      );
      other.roiHeads!.maskHead!.call(pooled);
      assertClose(statistics(model), statistics(other), { relative: 1e-4, absolute: 1e-6 });
    });
  });
});
