// Every kind of two-stage model by every system's rules, small enough for tests, and batches for them.
import { manualSeed, ops, randn, tensor } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { type BuildOptions, buildModel } from '../models/build.js';
import { CONVENTIONS } from '../models/conventions.js';
import type { Rcnn } from '../models/detectors/rcnn.js';
import { evenDraws } from '../models/sampling.js';
import type { ImageBatch } from '../models/structures.js';
import { SQUARE_KEYPOINTS, type Square } from './tiny-targets.js';

const [HEIGHT, WIDTH] = [64, 96];
export const SCALE = { x: 2, y: 2 };

/** Noise with a bright square at each object; the network sees the images twice as large as they are. */
export function batchOf(objects: readonly (readonly Square[])[]): ImageBatch {
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

export const KINDS: Readonly<Record<string, string>> = {
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
  'Faster R-CNN on stage 4 of a Res2Net': `type: faster_rcnn${C4.replace(
    'width: 4',
    'width: 4, widthPerGroup: 2, scale: 2',
  )}  ${STAGE5}`,
  'Keypoint R-CNN on the pyramid of a Res2Net, the stride in its 1x1 convolutions': `type: keypoint_rcnn${FPN.replace(
    'depth: 18, width: 8',
    'depth: 50, width: 8, widthPerGroup: 3, scale: 4, strideIn1x1: true',
  )}  boxHead: { ${BOX} }
  keypointHead: { channels: [16, 16] }`,
  // Four values a group: of two, near each other, the gradient is mostly rounding.
  'Mask R-CNN with group norm behind its fully connected layers': `type: mask_rcnn${FPN}
  boxHead: { ${BOX.replace('hiddenSize: 32', 'hiddenSize: 128')}, norm: group }
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

export const RULES = Object.keys(CONVENTIONS) as (keyof typeof CONVENTIONS)[];

export function build(kind: string, rules: (typeof RULES)[number], options: Partial<BuildOptions> = {}): Rcnn {
  const { model } = parseConfig(`model:\n  conventions: ${rules}\n  ${kind}\n`, { file: 'test' });
  manualSeed(7);
  // As it is trained, with weights in channels_last.
  return buildModel(model, { classes: 2, keypoints: SQUARE_KEYPOINTS, draws: evenDraws, ...options }).to({
    memoryFormat: 'channels_last',
  }) as Rcnn;
}
