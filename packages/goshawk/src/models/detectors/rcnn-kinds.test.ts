// Every kind of two-stage model by every system's rules: it takes a training step and predicts.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { assertClose, manualSeed, ops, randn, scope, setThreads, type Tensor, tensor } from '@goshawk/torch';
import { parseConfig } from '../../config/index.js';
import { SQUARE_KEYPOINTS, SQUARES, type Square, squareTargets } from '../../testing/tiny-targets.js';
import { buildModel } from '../build.js';
import { CONVENTIONS } from '../conventions.js';
import { poolRois } from '../roi-heads/roi-pooler.js';
import { evenDraws } from '../sampling.js';
import type { ImageBatch } from '../structures.js';
import { type Rcnn, totalLoss } from './rcnn.js';

before(() => setThreads(1));

const [HEIGHT, WIDTH] = [64, 96];
const SCALE = { x: 2, y: 2 };

/** Noise with a bright square at each object; the network sees the images twice as large as they are. */
function batchOf(objects: readonly (readonly Square[])[]): ImageBatch {
  manualSeed(1);
  const pixels = ops.mul(randn([objects.length, 3, HEIGHT, WIDTH]), 0.2);
  objects.forEach((boxes, image) => {
    for (const [x1, y1, x2, y2] of boxes)
      ops.add_(ops.narrow(ops.narrow(ops.select(pixels, 0, image), 1, y1, y2 - y1), 2, x1, x2 - x1), tensor(2));
  });
  return {
    pixels: pixels.to({ memoryFormat: 'channels_last' }),
    sizes: objects.map(() => [HEIGHT, WIDTH] as const),
    originals: objects.map(() => [HEIGHT / SCALE.y, WIDTH / SCALE.x] as const),
    scales: objects.map(() => SCALE),
    proposals: objects.map((boxes) =>
      tensor([...boxes, [0, 0, 20, 20], [40, 10, 90, 60]].flat(), { shape: [boxes.length + 2, 4] }),
    ),
  };
}

const COMMON = `
  anchors: { sizes: [[12], [24], [48], [96], [192]] }
  rpn: &rpn { preNmsTopN: { train: 50, test: 50 }, postNmsTopN: { train: 30, test: 20 }, batchSizePerImage: 32 }
`;
const SINGLE = `
  anchors: { sizes: [[12, 24, 48]] }
  rpn: &rpn { preNmsTopN: { train: 50, test: 50 }, postNmsTopN: { train: 30, test: 20 }, batchSizePerImage: 32 }
`;
const FPN = `
  backbone: { depth: 18, width: 8, frozenStages: 0 }
  neck: { channels: 16 }${COMMON}`;
const C4 = `
  backbone: { depth: 50, width: 4, frozenStages: 0, norm: affine, strideIn1x1: true }
  neck: { type: none, stage: 4 }${SINGLE}`;
const BOX = 'hiddenSize: 32, batchSizePerImage: 32, maxDetections: 10, scoreThreshold: 0';
const STAGE5 = `boxHead: { kind: stage5, poolSize: 14, ${BOX} }`;

const KINDS: Readonly<Record<string, string>> = {
  'proposals alone': `type: rpn${FPN}`,
  'proposals alone, two logits an anchor, best of the batch': `type: rpn${FPN.replace(
    'batchSizePerImage: 32',
    'batchSizePerImage: 32, activation: softmax, collectImages: 1, straddle: 0, lowestBestIou: 0.3',
  )}`,
  'Faster R-CNN on a pyramid': `type: faster_rcnn${FPN}  boxHead: { ${BOX} }`,
  'Faster R-CNN of stored proposals': `type: faster_rcnn\n  proposals: stored${FPN}  boxHead: { ${BOX} }`,
  'Faster R-CNN on the finest level alone': `type: faster_rcnn
  backbone: { depth: 18, width: 8, frozenStages: 0 }
  neck: { channels: 16, finestOnly: true, zeroInitLateral: true }${SINGLE}  boxHead: { ${BOX}, pooling: pool }`,
  'Faster R-CNN on stage 4': `type: faster_rcnn${C4}  ${STAGE5}`,
  'Faster R-CNN on a dilated stage 5': `type: faster_rcnn
  backbone: { depth: 50, width: 4, frozenStages: 2, norm: affine, lastStageDilation: 2, groups: 2, widthPerGroup: 2 }
  neck: { type: none, stage: 5 }${SINGLE}  boxHead: { ${BOX}, classAgnostic: true, pooling: crop }`,
  'Mask R-CNN on a pyramid': `type: mask_rcnn${FPN}  boxHead: { ${BOX} }
  maskHead: { channels: [16] }`,
  'Mask R-CNN with group norms, one box and one mask for all classes': `type: mask_rcnn
  backbone: { depth: 18, width: 32, frozenStages: 0, norm: group }
  neck: { channels: 32, norm: group }${COMMON}
  boxHead: { ${BOX}, kind: convolutions, convolutions: { count: 2, channels: 32 }, norm: group, classAgnostic: true }
  maskHead: { channels: [32, 32], norm: group, classAgnostic: true, upsampleRatio: 2, dilation: 2, lossWeight: 0.5 }`,
  'Mask R-CNN with batch norms in its heads': `type: mask_rcnn${FPN}
  boxHead: { ${BOX}, kind: convolutions, convolutions: { count: 1, channels: 16 }, norm: batch }
  maskHead: { channels: [16], norm: batch }`,
  'Mask R-CNN on stage 4, stage 5 shared': `type: mask_rcnn${C4}  ${STAGE5}
  maskHead: { kind: stage5_shared, upsampleChannels: 16 }`,
  'Mask R-CNN whose masks come from a fully connected layer': `type: mask_rcnn${FPN}  boxHead: { ${BOX} }
  maskHead: { channels: [16], poolSize: 4, output: fully_connected, upsampleRatio: 2 }`,
  'Mask R-CNN on stage 4, one mask for all classes from a fully connected layer': `type: mask_rcnn${C4}  ${STAGE5}
  maskHead: { kind: stage5_shared, upsampleChannels: 16, output: fully_connected, classAgnostic: true }`,
  'Mask R-CNN on stage 4, stages 5 of their own': `type: mask_rcnn${C4}  ${STAGE5}
  maskHead: { kind: stage5, dilation: 2, upsampleChannels: 16 }`,
  'Mask R-CNN on the pyramid of a Res2Net, best of the batch': `type: mask_rcnn${FPN.replace(
    'depth: 18, width: 8',
    'depth: 50, width: 8, widthPerGroup: 3, scale: 4',
  ).replace(
    'batchSizePerImage: 32',
    'batchSizePerImage: 32, collectImages: batch, levelPostNmsTopN: { train: 9, test: 9 }',
  )}
  boxHead: { ${BOX} }
  maskHead: { channels: [16] }`,
  'Mask R-CNN on stage 4 of a Res2NeXt v1b, stage 5 shared': `type: mask_rcnn${C4.replace(
    'width: 4',
    'width: 4, groups: 2, widthPerGroup: 2, scale: 2, stem: deep, shortcut: average',
  )}  ${STAGE5}
  maskHead: { kind: stage5_shared, upsampleChannels: 16 }`,
  'Mask R-CNN with group norm behind its fully connected layers': `type: mask_rcnn${FPN}
  boxHead: { ${BOX.replace('hiddenSize: 32', 'hiddenSize: 64')}, norm: group }
  maskHead: { channels: [16] }`,
  'Keypoint R-CNN on a pyramid': `type: keypoint_rcnn${FPN}  boxHead: { ${BOX} }
  keypointHead: { channels: [16, 16] }`,
  'Keypoint R-CNN with two deconvolutions': `type: keypoint_rcnn${FPN}  boxHead: { ${BOX} }
  keypointHead: { channels: [16], poolSize: 7, output: two_deconvolutions, hiddenChannels: 8 }`,
  'Keypoint R-CNN with masks': `type: keypoint_rcnn${FPN}  boxHead: { ${BOX} }
  maskHead: { channels: [16] }
  keypointHead: { channels: [16] }`,
  'Keypoint R-CNN whose loss is divided by a full batch, ranked by keypoints': `type: keypoint_rcnn${FPN}
  boxHead: { ${BOX} }
  keypointHead: { channels: [16], normalize: batch, output: deconvolution_convolution, hiddenChannels: 8, score: mean_probability }`,
};

const RULES = Object.keys(CONVENTIONS) as (keyof typeof CONVENTIONS)[];

function build(kind: string, rules: keyof typeof CONVENTIONS): Rcnn {
  const { model } = parseConfig(`model:\n  conventions: ${rules}\n  ${kind}\n`, { file: 'test' });
  manualSeed(7);
  // As it is trained, with weights in channels_last.
  return buildModel(model, { classes: 2, keypoints: SQUARE_KEYPOINTS, draws: evenDraws }).to({
    memoryFormat: 'channels_last',
  }) as Rcnn;
}

const allFinite = (values: Tensor): boolean => values.toNumbers().every(Number.isFinite);

for (const [what, kind] of Object.entries(KINDS)) {
  describe(what, () => {
    for (const rules of RULES) {
      test(`takes training steps with and without objects, and predicts, by ${rules}'s rules`, () => {
        const model = build(kind, rules);
        for (const objects of [[SQUARES, []], [[], []], [[]]] as const) {
          model.zeroGrad();
          scope(() => {
            const losses = model.loss(
              batchOf(objects),
              objects.map((boxes) => squareTargets(boxes)),
            );
            const expected = [
              ...(kind.includes('stored') ? [] : ['loss_objectness', 'loss_rpn_box_reg']),
              ...(kind.startsWith('type: rpn') ? [] : ['loss_box_reg', 'loss_classifier']),
              ...(kind.includes('maskHead') ? ['loss_mask'] : []),
              ...(kind.includes('keypointHead') ? ['loss_keypoint'] : []),
            ];
            assert.deepEqual(Object.keys(losses).toSorted(), expected.toSorted());
            for (const [name, loss] of Object.entries(losses)) assert.ok(Number.isFinite(loss.item()), name);
            totalLoss(losses).backward();
          });
          for (const [name, parameter] of model.namedParameters()) {
            if (!parameter.requiresGrad) continue;
            assert.ok(parameter.grad && allFinite(parameter.grad), `${name} has ${parameter.grad ?? 'no gradient'}`);
            // Of the coarse levels' few anchors and RoIs none need be drawn.
            if (objects[0]!.length === 0 || /layer_blocks\.[1-3]\./.test(name)) continue;
            assert.ok(
              parameter.grad.toNumbers().some((value) => value !== 0),
              `nothing reaches ${name}`,
            );
          }
        }
        model.eval();
        scope(() => {
          const found = model.predict(batchOf([SQUARES, []]));
          assert.equal(found.length, 2);
          for (const { boxes, scores, labels, masks, keypoints } of found) {
            const count = scores.length;
            assert.ok(count > 0 && allFinite(boxes) && allFinite(scores));
            assert.ok(labels.toNumbers().every((label) => label === 1 || label === 2));
            assert.equal(masks !== undefined, kind.includes('maskHead'));
            assert.equal(keypoints !== undefined, kind.includes('keypointHead'));
            if (masks) {
              const cells = Number(/maskHead:.*poolSize: (\d+)/.exec(kind)?.[1] ?? (kind.includes('stage5') ? 7 : 14));
              const side = cells * (kind.includes('upsampleRatio: 2') ? 4 : 2);
              assert.deepEqual(masks.shape, [count, side, side]);
              assert.ok(masks.toNumbers().every((probability) => probability >= 0 && probability <= 1));
            }
            if (keypoints) {
              assert.deepEqual(keypoints.shape, [count, SQUARE_KEYPOINTS, 4]);
              assert.ok(allFinite(keypoints));
            }
          }
        });
      });
    }
  });
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
