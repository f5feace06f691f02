// The box head: from proposals to classes and refined boxes.
import { z } from 'zod';
import { boxCount, channelCount, epsilon, factor, fraction, layerCount } from '../bounds.js';

/** How features of a box are cut out; all heads on RoIs have these keys. */
export const roiFeatureKeys = (poolSize: number) => ({
  poolSize: z
    .int()
    .min(1)
    .max(64)
    .default(poolSize)
    .describe('Cells in each direction that the features of a box are pooled to.'),
  pooling: z
    .enum(['align', 'pool', 'crop'])
    .default('align')
    .describe(
      "RoIAlign (Mask R-CNN), RoIPool (Fast R-CNN), or a bilinear crop with a 2x2 maximum (Detectron's RoICrop).",
    ),
  samplingRatio: z
    .int()
    .min(0)
    .max(32)
    .default(2)
    .describe('Samples of a RoIAlign cell in each direction; 0 adapts to the size.'),
});

/** Of the batch norms in a head on RoIs. */
export const batchNormKeys = {
  normEps: epsilon().default(1e-5).describe('Added to the variance by norm batch.'),
  normMomentum: z
    .number()
    .positive()
    .max(1)
    .default(0.1)
    .describe('Share of the newest batch in the running statistics of norm batch.'),
};

/** What a schema says of channels that group norm cannot take. */
export const GROUP_NORM_CHANNELS = 'group norm has 32 groups: take a multiple of 32';

export const fitsGroupNorm = (channels: number): boolean => channels % 32 === 0;

const softNmsSchema = z.strictObject({
  method: z
    .enum(['linear', 'gaussian', 'hard'])
    .default('linear')
    .describe('How the score of an overlapping box decays (Bodla et al. 2017).'),
  sigma: factor().default(0.5).describe('Width of the Gaussian.'),
  minScore: fraction().default(1e-4).describe('Boxes whose score decays below this are dropped.'),
});

const boxVotingSchema = z.strictObject({
  threshold: fraction().default(0.8).describe('Boxes with at least this IoU with a kept one take part in its mean.'),
  scoring: z
    .enum(['id', 'temp_avg', 'avg', 'iou_avg', 'generalized_avg', 'quasi_sum'])
    .default('id')
    .describe("How the score follows from the voters'; id keeps it (Detectron's SCORING_METHOD)."),
  beta: factor().default(1).describe('Temperature or exponent of the scoring.'),
});

export const boxHeadSchema = z
  .strictObject({
    kind: z
      .enum(['two_layer', 'convolutions', 'stage5'])
      .default('two_layer')
      .describe(
        "Two fully connected layers; 3x3 convolutions and one fully connected layer; or the backbone's last stage (C4 models).",
      ),
    convolutions: z
      .strictObject({
        count: layerCount().default(4).describe('Number of 3x3 convolutions.'),
        channels: channelCount().default(256).describe('Channels of each.'),
      })
      .prefault({}),
    norm: z
      .enum(['none', 'batch', 'sync_batch', 'group'])
      .default('none')
      .describe(
        'Normalisation behind each convolution of kind convolutions; group also behind each layer of two_layer. sync_batch: batch norm over the RoIs of all processes.',
      ),
    ...batchNormKeys,
    foregroundIou: fraction()
      .default(0.5)
      .describe('A proposal with at least this IoU with an object takes its class.'),
    backgroundIou: fraction().default(0.5).describe('A proposal below this IoU with every object is background.'),
    batchSizePerImage: boxCount().default(512).describe('Proposals drawn of an image for the loss.'),
    positiveFraction: fraction().default(0.25).describe('The largest share of objects among them.'),
    hiddenSize: channelCount().default(1024).describe('Outputs of each fully connected layer.'),
    ...roiFeatureKeys(7),
    classAgnostic: z.boolean().default(false).describe('One box for all classes instead of one for each.'),
    regressionWeights: z
      .tuple([factor(), factor(), factor(), factor()])
      .default([10, 10, 5, 5])
      .describe('Factors on the deltas of x, y, width and height.'),
    smoothL1Beta: factor()
      .default(1 / 9)
      .describe('Where the box regression loss turns linear: 1/9 in torchvision, 1 in Detectron.'),
    scoreThreshold: fraction().default(0.05).describe('Detections below this score are dropped.'),
    nmsThreshold: fraction()
      .default(0.5)
      .describe('IoU above which the worse of two detections of a class is dropped.'),
    softNms: softNmsSchema.optional().describe('Lower the scores of overlapping detections instead of dropping them.'),
    boxVoting: boxVotingSchema.optional().describe('Replace kept boxes by a mean of those they suppressed.'),
    maxDetections: boxCount().default(100).describe('Detections kept of an image.'),
  })
  .refine((head) => head.backgroundIou <= head.foregroundIou, {
    path: ['backgroundIou'],
    message: 'is above boxHead.foregroundIou: take at most that',
  })
  .refine((head) => head.norm !== 'group' || fitsGroupNorm(head.convolutions.channels), {
    path: ['convolutions', 'channels'],
    message: GROUP_NORM_CHANNELS,
  })
  .refine(
    ({ kind, norm, hiddenSize }) =>
      kind !== 'two_layer' || norm !== 'group' || (hiddenSize > 32 && fitsGroupNorm(hiddenSize)),
    {
      path: ['hiddenSize'],
      message: 'group norm has 32 groups, which need two values each: take a multiple of 32 from 64 on',
    },
  )
  .prefault({});

export type BoxHeadConfig = z.output<typeof boxHeadSchema>;
export type SoftNmsConfig = z.output<typeof softNmsSchema>;
export type BoxVotingConfig = z.output<typeof boxVotingSchema>;
