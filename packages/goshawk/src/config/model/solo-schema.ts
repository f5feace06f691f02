// SOLOv2 and decoupled SOLO. The defaults are those of the original's R-50 configs (WXinlong/SOLO, configs/solov2 and
// configs/solo), which follow mmdetection 1; SOLOv2-Light differs in the files of configs/solov2.
import { z } from 'zod';
import { boxCount, channelCount, factor, fraction, layerCount } from '../bounds.js';
import { backboneSchema } from './backbone-schema.js';
import { fitsGroupNorm, GROUP_NORM_CHANNELS } from './box-head-schema.js';
import { checkPyramid, levelCount, neckSchema } from './neck-schema.js';
import { classesSchema } from './rcnn-schema.js';

/** Of a pyramid; the neck's default gives five. */
const MOST_LEVELS = 10;

const groupNormChannels = () => channelCount().refine(fitsGroupNorm, GROUP_NORM_CHANNELS);

/** Length of an object in network pixels. */
const objectSize = () => z.number().min(0).max(100_000);

const headKeys = (defaults: { readonly channels: number; readonly convolutions: number }) => ({
  channels: groupNormChannels().default(defaults.channels).describe('Outputs of each convolution.'),
  convolutions: layerCount()
    .default(defaults.convolutions)
    .describe('3x3 convolutions with group norm in front of each output.'),
  grids: z
    .array(z.int().min(2).max(256))
    .min(2)
    .max(MOST_LEVELS)
    .default([40, 36, 24, 16, 12])
    .describe('Cells a side of the grid that each level is divided into, finest level first.'),
  scaleRanges: z
    .array(z.tuple([objectSize(), objectSize()]))
    .min(2)
    .max(MOST_LEVELS)
    .refine((ranges) => ranges.every(([low, high]) => low <= high), 'a range ends before it begins: exchange its ends')
    .default([
      [1, 96],
      [48, 192],
      [96, 384],
      [192, 768],
      [384, 2048],
    ])
    .describe("Which objects a level learns: by the square root of their box's area in network pixels, ends included."),
  centreShare: z
    .number()
    .min(0)
    .max(1)
    .default(0.2)
    .describe("The cells that learn an object are those of this share of its box around its mask's centre of mass."),
  prior: z.number().gt(0).lt(1).default(0.01).describe('Probability of each class at the start.'),
  focalAlpha: fraction()
    .default(0.25)
    .describe('Weight of present classes in the focal loss; absent ones have the rest.'),
  focalGamma: z.number().min(0).max(100).default(2).describe('How fast the loss of well classified cells vanishes.'),
  classLossWeight: factor().default(1).describe('Factor of the focal loss.'),
  maskLossWeight: factor().default(3).describe('Factor of the dice loss.'),
  scoreThreshold: fraction().default(0.1).describe('Cells whose class has at most this probability are dropped.'),
  maskThreshold: fraction().default(0.5).describe('A pixel with more than this probability belongs to the object.'),
  preNmsTopN: boxCount().default(500).describe('Candidates that Matrix NMS compares.'),
  nms: z
    .enum(['gaussian', 'linear'])
    .default('gaussian')
    .describe('How Matrix NMS lowers the score of a mask that overlaps a better one of its class.'),
  nmsSigma: factor().default(2).describe('How fast the gaussian lowers it.'),
  minScore: fraction().default(0.05).describe('Detections whose score is lowered below this are dropped.'),
  maxDetections: boxCount().default(100).describe('Detections kept of an image.'),
});

const commonShape = {
  classes: classesSchema,
  backbone: backboneSchema.prefault({}),
  neck: neckSchema.prefault({}),
};

const maskFeaturesSchema = z
  .strictObject({
    channels: groupNormChannels().default(128).describe('Outputs of the convolutions on each level.'),
    outputs: groupNormChannels()
      .default(256)
      .describe('Channels of the mask features, and so numbers in the kernel of an object.'),
  })
  .prefault({});

const solov2Schema = z
  .strictObject({
    type: z.literal('solov2').describe('The kind of model.'),
    ...commonShape,
    maskFeatures: maskFeaturesSchema,
    head: z.strictObject(headKeys({ channels: 512, convolutions: 4 })).prefault({}),
  })
  .superRefine(checkLevels);

const decoupledSoloSchema = z
  .strictObject({
    type: z.literal('decoupled_solo').describe('The kind of model.'),
    ...commonShape,
    head: z.strictObject(headKeys({ channels: 256, convolutions: 7 })).prefault({}),
  })
  .superRefine(checkLevels);

export const soloSchemas = [solov2Schema, decoupledSoloSchema] as const;

export type Solov2Config = z.output<typeof solov2Schema>;
export type DecoupledSoloConfig = z.output<typeof decoupledSoloSchema>;
export type SoloConfig = Solov2Config | DecoupledSoloConfig;

function checkLevels(
  { backbone, neck, head }: Pick<SoloConfig, 'backbone' | 'neck' | 'head'>,
  context: z.RefinementCtx<Pick<SoloConfig, 'backbone' | 'neck' | 'head'>>,
): void {
  checkPyramid({ backbone, neck }, context);
  const levels = levelCount(backbone, neck);
  for (const key of ['grids', 'scaleRanges'] as const)
    if (head[key].length !== levels)
      context.addIssue({
        code: 'custom',
        path: ['head', key],
        message: `got ${head[key].length} for the ${levels} levels of the neck: give one a level`,
      });
}
