// The keypoint head of Keypoint R-CNN (Mask R-CNN, He et al. 2017, section 5; Detectron's roi_pose_head_v1convX).
import { z } from 'zod';
import { channelCount, factor } from '../bounds.js';
import { roiFeatureKeys } from './box-head-schema.js';

export const keypointHeadSchema = z
  .strictObject({
    ...roiFeatureKeys(14),
    channels: z
      .array(channelCount())
      .min(1)
      .max(64)
      .default([512, 512, 512, 512, 512, 512, 512, 512])
      .describe('Channels of the 3x3 convolutions.'),
    kernelSize: z.literal([1, 3, 5, 7]).default(3).describe('Side of their kernels.'),
    output: z
      .enum(['deconvolution', 'convolution', 'deconvolution_convolution', 'two_deconvolutions'])
      .default('deconvolution')
      .describe(
        'What makes a heatmap a keypoint: a 4x4 deconvolution, a 1x1 convolution, one after the other, or two deconvolutions.',
      ),
    hiddenChannels: channelCount().default(256).describe('Channels between the two.'),
    upsampleRatio: z.int().min(1).max(8).default(2).describe('The heatmaps are enlarged by this, bilinearly.'),
    lossWeight: factor().default(1).describe('Factor of the loss.'),
    normalize: z
      .enum(['visible', 'batch'])
      .default('visible')
      .describe('The loss is a mean over visible keypoints, or over all that a full batch could have.'),
    minSize: z
      .number()
      .min(0)
      .max(4096)
      .default(0)
      .describe('A heatmap is enlarged to at least this many pixels before its maximum is sought.'),
    score: z
      .enum(['box', 'mean_logit', 'mean_probability'])
      .default('box')
      .describe('What a person is ranked by: the score of its box, or the mean over its keypoints.'),
    nmsOks: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe('Persons more similar than this (OKS) to a better one are dropped. Absent: none is.'),
  })
  .prefault({});

export type KeypointHeadConfig = z.output<typeof keypointHeadSchema>;
