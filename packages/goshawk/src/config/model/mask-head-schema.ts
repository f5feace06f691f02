// The mask head of Mask R-CNN.
import { z } from 'zod';
import { channelCount, factor } from '../bounds.js';
import { batchNormKeys, fitsGroupNorm, GROUP_NORM_CHANNELS, roiFeatureKeys } from './box-head-schema.js';

export const maskHeadSchema = z
  .strictObject({
    kind: z
      .enum(['convolutions', 'stage5', 'stage5_shared'])
      .default('convolutions')
      .describe("3x3 convolutions; the backbone's last stage once more; or the very one of the box head (C4 models)."),
    ...roiFeatureKeys(14),
    channels: z
      .array(channelCount())
      .max(64)
      .default([256, 256, 256, 256])
      .describe('Channels of the 3x3 convolutions; the upsampling layer has as many as the last.'),
    upsampleChannels: channelCount()
      .optional()
      .describe('Channels of the upsampling layer, where they differ from the last.'),
    dilation: z.int().min(1).max(8).default(1).describe('Dilation of the convolutions.'),
    norm: z
      .enum(['none', 'batch', 'sync_batch', 'group'])
      .default('none')
      .describe('Normalisation behind each convolution; sync_batch: batch norm over the RoIs of all processes.'),
    ...batchNormKeys,
    output: z
      .enum(['convolution', 'fully_connected'])
      .default('convolution')
      .describe(
        'What makes the masks of the upsampled features: a 1x1 convolution, or one fully connected layer over all of their cells.',
      ),
    classAgnostic: z.boolean().default(false).describe('One mask for all classes instead of one for each.'),
    upsampleRatio: z
      .int()
      .min(1)
      .max(8)
      .default(1)
      .describe(
        'The logits are enlarged by this before they are compared and drawn: bilinearly, or by the fully connected layer itself.',
      ),
    lossWeight: factor().default(1).describe('Factor of the loss.'),
    threshold: z
      .number()
      .min(0)
      .max(1)
      .default(0.5)
      .describe('A pixel with at least this probability belongs to the object.'),
  })
  .refine((head) => head.norm !== 'group' || head.channels.every(fitsGroupNorm), {
    path: ['channels'],
    message: GROUP_NORM_CHANNELS,
  })
  .prefault({});

export type MaskHeadConfig = z.output<typeof maskHeadSchema>;
