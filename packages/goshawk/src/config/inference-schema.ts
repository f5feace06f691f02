// Evaluation and prediction beyond a single pass of the network. The keys of `augment` follow Detectron's BBOX_AUG, MASK_AUG
// and KPS_AUG (TEST in its config), their defaults too.
import { z } from 'zod';
import { pixels } from './bounds.js';

const transformKeys = {
  enabled: z.boolean().default(false).describe('Whether there is more than the picture as it is.'),
  flip: z.boolean().default(false).describe('Also the mirrored picture.'),
  scales: z
    .array(pixels())
    .max(64)
    .default([])
    .describe('Also the picture with a short side of each of these lengths, in pixels.'),
  maxSize: pixels().default(4000).describe('The long side at these scales is at most this, in pixels.'),
  scaleFlip: z.boolean().default(false).describe('Each scale also mirrored.'),
  aspectRatios: z
    .array(z.number().min(0.1).max(10))
    .max(64)
    .default([])
    .describe('Also the picture made wider by each of these factors, at its own scale.'),
  aspectRatioFlip: z.boolean().default(false).describe('Each of them also mirrored.'),
  sizeDependent: z
    .boolean()
    .default(false)
    .describe('Leave out smaller scales for small objects and larger scales for large ones.'),
};

/** Square image pixels; COCO's own largest area is 1e10. */
const area = () => z.number().min(0).max(1e10);

const areaThreshold = () =>
  area()
    .default(180 ** 2)
    .describe('Objects from this area on, in square image pixels, are large where sizeDependent is set.');

const boxAugmentSchema = z
  .strictObject({
    ...transformKeys,
    scores: z
      .enum(['union', 'average', 'identity'])
      .default('union')
      .describe(
        'union: all boxes of all pictures compete; average, identity: the mean over the pictures or the first one alone, where stored proposals make boxes comparable.',
      ),
    coordinates: z
      .enum(['union', 'average', 'identity'])
      .default('union')
      .describe('The same for the corners of the boxes; union goes with union.'),
    smallArea: area()
      .default(50 ** 2)
      .describe('Boxes below this area, in square image pixels, are small where sizeDependent is set.'),
    largeArea: areaThreshold(),
  })
  .refine((boxes) => (boxes.scores === 'union') === (boxes.coordinates === 'union'), {
    path: ['coordinates'],
    message: 'union goes with scores: union only: set both to union, or neither',
  })
  .prefault({});

const maskAugmentSchema = z
  .strictObject({
    ...transformKeys,
    heuristic: z
      .enum(['soft_avg', 'soft_max', 'logit_avg'])
      .default('soft_avg')
      .describe('The mean of the probabilities, the largest, or the mean of the logits.'),
    largeArea: areaThreshold(),
  })
  .prefault({});

const keypointAugmentSchema = z
  .strictObject({
    ...transformKeys,
    heuristic: z.enum(['hm_avg', 'hm_max']).default('hm_avg').describe('The mean of the heatmaps, or the largest.'),
    largeArea: areaThreshold(),
  })
  .prefault({});

export const inferenceSchema = z
  .strictObject({
    batchSize: z
      .int()
      .min(1)
      .max(4096)
      .default(1)
      .describe(
        'Pictures of one pass in evaluation, over all processes together; only pictures of one size in the network go together, so that none is padded for another and the figures stay.',
      ),
    augment: z
      .strictObject({ boxes: boxAugmentSchema, masks: maskAugmentSchema, keypoints: keypointAugmentSchema })
      .prefault({})
      .describe('Test-time augmentation: detections of several forms of a picture, put together.'),
  })
  .prefault({});

export type InferenceConfig = z.output<typeof inferenceSchema>;
export type AugmentConfig = InferenceConfig['augment'];
export type BoxAugmentConfig = AugmentConfig['boxes'];
export type MaskAugmentConfig = AugmentConfig['masks'];
export type KeypointAugmentConfig = AugmentConfig['keypoints'];
