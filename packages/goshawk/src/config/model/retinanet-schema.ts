// RetinaNet. The defaults are those of torchvision's retinanet_resnet50_fpn (torchvision/models/detection/retinanet.py).
import { z } from 'zod';
import {
  anchorRatios,
  boxCount,
  channelCount,
  epsilon,
  factor,
  fraction,
  layerCount,
  MOST_ANCHORS,
  tooManyAnchors,
} from '../bounds.js';
import { backboneSchema } from './backbone-schema.js';
import { fitsGroupNorm, GROUP_NORM_CHANNELS } from './box-head-schema.js';
import { retinaNeckSchema } from './neck-schema.js';
import { classesSchema } from './rcnn-schema.js';

const anchorsSchema = z
  .strictObject({
    octaveBaseScale: z
      .number()
      .min(0.001)
      .max(1024)
      .default(4)
      .describe('Length of the smallest anchor of a level over its stride.'),
    scalesPerOctave: layerCount()
      .default(3)
      .describe('So many lengths until the next level, evenly spaced in the logarithm.'),
    ratios: anchorRatios().default([0.5, 1, 2]).describe('Height / width of the anchors.'),
  })
  .superRefine(({ scalesPerOctave, ratios }, context) => {
    const count = scalesPerOctave * ratios.length;
    if (count > MOST_ANCHORS)
      context.addIssue({ code: 'custom', path: ['scalesPerOctave'], message: tooManyAnchors(count) });
  })
  .prefault({});

const headSchema = z
  .strictObject({
    convolutions: layerCount().default(4).describe('3x3 convolutions in front of each of the two outputs.'),
    channels: channelCount().optional().describe("Outputs of each. Absent: as many as the features'."),
    norm: z
      .enum(['none', 'group', 'batch_per_level', 'sync_batch_per_level'])
      .default('none')
      .describe(
        'Normalisation behind each; batch_per_level shares the convolutions among the levels, not the norms; sync_batch_per_level too, over the pictures of all processes.',
      ),
    normEps: epsilon().default(1e-5).describe('Added to the variance.'),
    normMomentum: z
      .number()
      .positive()
      .max(1)
      .default(0.1)
      .describe('Share of the newest batch in the running statistics.'),
    prior: z.number().gt(0).lt(1).default(0.01).describe('Probability of each class at the start.'),
    foregroundIou: fraction().default(0.5).describe('An anchor with at least this IoU with an object learns it.'),
    backgroundIou: fraction().default(0.4).describe('An anchor below this IoU with every object is background.'),
    focalAlpha: fraction()
      .default(0.25)
      .describe('Weight of present classes in the focal loss; absent ones have the rest.'),
    focalGamma: z
      .number()
      .min(0)
      .max(100)
      .default(2)
      .describe('How fast the loss of well classified anchors vanishes.'),
    boxLoss: z
      .enum(['l1', 'smooth_l1', 'giou'])
      .default('l1')
      .describe('Of the offsets: l1 or smooth_l1; giou compares the boxes (version 2).'),
    smoothL1Beta: factor().default(0.11).describe('Where smooth_l1 turns linear.'),
    regressionWeights: z
      .tuple([factor(), factor(), factor(), factor()])
      .default([1, 1, 1, 1])
      .describe('Factors on the offsets of x, y, width and height; 10, 10, 5, 5 in maskrcnn-benchmark.'),
    boxLossWeight: factor().default(1).describe('Factor of the box loss; 1/4 in maskrcnn-benchmark.'),
    preNmsTopN: boxCount().default(1000).describe('Candidates that a level gives to non-maximum suppression.'),
    scoreThreshold: fraction().default(0.05).describe('Detections below this score are dropped.'),
    nmsThreshold: fraction()
      .default(0.5)
      .describe('IoU above which the worse of two detections of a class is dropped.'),
    maxDetections: boxCount().default(300).describe('Detections kept of an image.'),
  })
  .refine((head) => head.backgroundIou <= head.foregroundIou, {
    path: ['backgroundIou'],
    message: 'is above head.foregroundIou: take at most that',
  })
  .prefault({});

export const retinanetSchema = z
  .strictObject({
    type: z.literal('retinanet').describe('The kind of model.'),
    conventions: z
      .enum(['torchvision', 'mmdetection', 'maskrcnn_benchmark'])
      .default('torchvision')
      .describe(
        'Whose rules decide where systems differ: whether a box includes its last pixel, how anchors are rounded and matched, what losses are divided by, which candidates are kept.',
      ),
    classes: classesSchema,
    backbone: backboneSchema.prefault({}),
    neck: retinaNeckSchema.optional().describe('The pyramid on a ResNet or MobileNet. SpineNet is its own: without.'),
    anchors: anchorsSchema,
    head: headSchema,
  })
  .superRefine(({ backbone, neck, head }, context) => {
    const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    if (backbone.type === 'spinenet' && neck) issue(['neck'], 'is given, but SpineNet needs none: remove it');
    if (backbone.type === 'resnet' && backbone.lastStageDilation > 1)
      issue(['backbone', 'lastStageDilation'], 'must be 1 under a pyramid: remove it');
    if (neck?.type === 'panet' && neck.norm === 'group' && !fitsGroupNorm(neck.channels))
      issue(['neck', 'channels'], GROUP_NORM_CHANNELS);
    // The outputs have as many channels as the features where nothing else is said; all of SpineNet's sizes fit.
    const features = backbone.type === 'spinenet' ? (backbone.endpointChannels ?? 256) : (neck?.channels ?? 256);
    if (head.norm === 'group' && !fitsGroupNorm(head.channels ?? features))
      issue(['head', 'channels'], GROUP_NORM_CHANNELS);
  });

export type RetinanetConfig = z.output<typeof retinanetSchema>;
