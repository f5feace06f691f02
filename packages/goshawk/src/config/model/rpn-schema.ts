// Anchors and the region proposal network.
import { z } from 'zod';
import { anchorRatios, boxCount, channelCount, fraction, layerCount } from '../bounds.js';

export const anchorsSchema = z.strictObject({
  sizes: z
    .array(z.array(z.number().min(0.01).max(65_536)).min(1).max(64))
    .min(1)
    .max(8)
    .default([[32], [64], [128], [256], [512]])
    .describe("Side lengths of the anchors in network pixels: one list a level, the finest level's first."),
  ratios: anchorRatios().default([0.5, 1, 2]).describe('Height / width of the anchors; each size comes in each ratio.'),
});

const keepCount = (train: number, test: number, what: string) =>
  z.strictObject({
    train: boxCount().default(train).describe(`${what}, in training.`),
    test: boxCount().default(test).describe(`${what}, in evaluation and prediction.`),
  });

export const rpnSchema = z
  .strictObject({
    preNmsTopN: keepCount(
      2000,
      1000,
      'Proposals of the best scores that a level gives to non-maximum suppression',
    ).prefault({}),
    postNmsTopN: keepCount(2000, 1000, 'Proposals kept of an image after non-maximum suppression').prefault({}),
    levelPostNmsTopN: z
      .strictObject({
        train: boxCount().describe('In training.'),
        test: boxCount().describe('In evaluation and prediction.'),
      })
      .optional()
      .describe(
        'Proposals kept of a level after non-maximum suppression, before postNmsTopN: the best, but by the conventions of mmdetection the first in their order of a level with at most preNmsTopN anchors (nms_post). Absent: all.',
      ),
    collectImages: z
      .union([z.int().min(0).max(4096), z.literal('batch')])
      .default(0)
      .describe(
        '0: every image keeps its own postNmsTopN. Above 0: training keeps the best of the whole batch, postNmsTopN for every so many images; batch: postNmsTopN in all (maskrcnn-benchmark).',
      ),
    nmsThreshold: fraction().default(0.7).describe('IoU above which the worse of two proposals is dropped.'),
    scoreThreshold: fraction().default(0).describe('Proposals below this score are dropped.'),
    foregroundIou: fraction().default(0.7).describe('An anchor with at least this IoU with an object is a positive.'),
    backgroundIou: fraction().default(0.3).describe('An anchor below this IoU with every object is a negative.'),
    lowestBestIou: fraction()
      .default(0)
      .describe("An object's best anchors are positives from this IoU on, also below foregroundIou."),
    batchSizePerImage: boxCount().default(256).describe('Anchors drawn of an image for the loss.'),
    positiveFraction: fraction().default(0.5).describe('The largest share of positives among them.'),
    minSize: z
      .number()
      .min(0)
      .max(16_384)
      .default(1e-3)
      .describe('Proposals with a shorter side, in network pixels, are dropped.'),
    straddle: z
      .number()
      .min(0)
      .max(16_384)
      .optional()
      .describe(
        'Anchors that reach further than this beyond the image, in pixels, are left out of the loss. Absent: none is.',
      ),
    convolutions: layerCount().default(1).describe('3x3 convolutions in front of the two outputs.'),
    hiddenChannels: channelCount()
      .optional()
      .describe("Outputs of each 3x3 convolution. Absent: as many as the features'."),
    activation: z
      .enum(['sigmoid', 'softmax'])
      .default('sigmoid')
      .describe('softmax has two logits an anchor, all of the background first.'),
  })
  .refine((rpn) => rpn.backgroundIou <= rpn.foregroundIou, {
    path: ['backgroundIou'],
    message: 'is above rpn.foregroundIou: take at most that',
  })
  .prefault({});

export type AnchorsConfig = z.output<typeof anchorsSchema>;
export type RpnConfig = z.output<typeof rpnSchema>;
