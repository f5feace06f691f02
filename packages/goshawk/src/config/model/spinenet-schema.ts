// SpineNet and other scale-permuted backbones.
import { z } from 'zod';
import { channelCount, epsilon, filePath } from '../bounds.js';

/** Several times the 17 of SpineNet. */
const MOST_BLOCKS = 128;

const blockSchema = z.strictObject({
  level: z.int().min(1).max(7).describe("The block's resolution is the input's over 2^level."),
  block: z.enum(['bottleneck', 'basic']).describe('Three convolutions, the last to four times the width, or two.'),
  parents: z
    .tuple([z.int().min(0).max(MOST_BLOCKS), z.int().min(0).max(MOST_BLOCKS)])
    .describe('Numbers of the two blocks that it reads.'),
  output: z.boolean().default(false).describe('Whether heads read it.'),
});

export const spinenetSchema = z.strictObject({
  type: z.literal('spinenet').describe('The kind of backbone: SpineNet, or another scale-permuted network.'),
  variant: z.enum(['49S', '49', '96', '143', '190']).default('49S').describe("The size, by SpineNet's names."),
  widthScale: z.number().min(0.01).max(16).optional().describe("Factor of all widths. Absent: the variant's."),
  endpointChannels: channelCount().optional().describe("Channels of every output. Absent: the variant's."),
  resampleAlpha: z
    .number()
    .positive()
    .max(16)
    .optional()
    .describe("Share of a block's width that its resampling has in between. Absent: the variant's."),
  repeats: z.int().min(1).max(32).optional().describe("Residual blocks in a block. Absent: the variant's."),
  blocks: z
    .array(blockSchema)
    .min(1)
    .max(MOST_BLOCKS)
    .optional()
    .describe(
      "Another plan than SpineNet's: blocks number 2, 3, ...; 0 and 1 are bottlenecks of level 2 behind the stem.",
    ),
  norm: z
    .enum(['batch', 'sync_batch', 'frozen_batch', 'group'])
    .default('batch')
    .describe(
      'Normalisation: batch norm that learns, that learns over the pictures of all processes, with fixed statistics, or group norm.',
    ),
  normEps: epsilon().default(1e-3).describe('Added to the variance.'),
  normMomentum: z
    .number()
    .positive()
    .max(1)
    .default(0.01)
    .describe('Share of the newest batch in the running statistics; raise it for short trainings.'),
  zeroInitResidual: z.boolean().default(true).describe('Residual blocks start as identities.'),
  weights: filePath()
    .optional()
    .describe(
      'A checkpoint file that the backbone starts from, or the name of published weights in the cache (goshawk weights list).',
    ),
});

export type SpinenetConfig = z.output<typeof spinenetSchema>;
