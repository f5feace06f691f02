// Backbones: what turns pixels into feature maps.
import { z } from 'zod';
import { filePath } from '../bounds.js';
import { mobilenetSchema } from './mobilenet-schema.js';
import { spinenetSchema } from './spinenet-schema.js';

/** Channels of the 3x3 convolutions in the first stage; the widest published ResNeXt has 32 groups of 48. */
const WIDEST_STAGE = 8192;

export const resnetSchema = z
  .strictObject({
    type: z.literal('resnet').default('resnet').describe('The kind of backbone.'),
    depth: z
      .literal([18, 34, 50, 101, 152])
      .default(50)
      .describe('Number of layers; 18 and 34 have basic blocks, the others bottlenecks.'),
    width: z
      .int()
      .min(4)
      .max(512)
      .default(64)
      .describe('Channels of the first layer; every later layer scales with it.'),
    groups: z.int().min(1).max(1024).default(1).describe('Groups of the 3x3 convolutions; 32 or 64 in ResNeXt.'),
    widthPerGroup: z
      .int()
      .min(1)
      .max(4096)
      .optional()
      .describe(
        'Channels of a group in the first stage; 8 in ResNeXt 32x8d, 26 in Res2Net 26w x 4s (of one split). Absent: width.',
      ),
    scale: z
      .int()
      .min(1)
      .max(32)
      .default(1)
      .describe(
        'Splits of a bottleneck in Res2Net, each with 3x3 convolutions of its own that also read what the split before it gives; 2 to 8 there. 1: a plain bottleneck.',
      ),
    stem: z
      .enum(['plain', 'deep'])
      .default('plain')
      .describe("The first layers: one 7x7 convolution, or three 3x3 ones (Res2Net's v1b)."),
    shortcut: z
      .enum(['convolution', 'average'])
      .default('convolution')
      .describe(
        "How the path beside a stage's first block halves the resolution: by its 1x1 convolution's stride, or by a mean in front of it (Res2Net's v1b).",
      ),
    strideIn1x1: z
      .boolean()
      .default(false)
      .describe(
        "Where a bottleneck halves the resolution: in its first 1x1 convolution (Caffe's ResNets, maskrcnn-benchmark) or the 3x3 ones.",
      ),
    lastStageDilation: z
      .int()
      .min(1)
      .max(4)
      .default(1)
      .describe('Dilation of the last stage; above 1 it keeps the resolution of the one before.'),
    norm: z
      .enum(['frozen_batch', 'fixed_statistics', 'batch', 'sync_batch', 'group', 'affine'])
      .default('frozen_batch')
      .describe(
        'Normalisation: batch norm of which nothing learns, batch norm with fixed statistics whose factor and offset learn (SOLOv2), batch norm that learns, batch norm that learns over the pictures of all processes, group norm of 32 groups, or a fixed factor and offset a channel (Detectron).',
      ),
    normEps: z
      .number()
      .min(0)
      .max(1)
      .default(1e-5)
      .describe('Added to the variance. Torchvision published its first detectors (COCO_V1) with 0.'),
    frozenStages: z
      .int()
      .min(0)
      .max(5)
      .default(2)
      .describe('How many of the stem and the four stages do not learn; torchvision calls 5 - this trainable_layers.'),
    weights: filePath()
      .optional()
      .describe(
        'A checkpoint file that the backbone starts from, or the name of published weights in the cache (goshawk weights list).',
      ),
  })
  .refine((backbone) => backbone.norm !== 'group' || backbone.width % 32 === 0, {
    path: ['width'],
    message: 'group norm has 32 groups: take a width that is a multiple of 32',
  })
  .refine(({ groups, widthPerGroup, width, scale }) => scale * groups * (widthPerGroup ?? width) <= WIDEST_STAGE, {
    path: ['groups'],
    message: `times widthPerGroup and scale is above ${WIDEST_STAGE}, the widest first stage: take fewer or narrower groups`,
  })
  .refine((backbone) => backbone.groups === 1 || backbone.depth >= 50, {
    path: ['groups'],
    message: 'only bottlenecks have groups: take a depth of 50 or more',
  })
  .refine((backbone) => backbone.scale === 1 || backbone.depth >= 50, {
    path: ['scale'],
    message: 'only bottlenecks have splits: take a depth of 50 or more',
  })
  .refine((backbone) => backbone.stem === 'plain' || backbone.width % 2 === 0, {
    path: ['width'],
    message: 'the first layers of a deep stem have half of it: take an even one',
  });

export const backboneSchema = z.discriminatedUnion('type', [resnetSchema, spinenetSchema, mobilenetSchema]);

export type BackboneConfig = z.output<typeof backboneSchema>;
export type ResnetConfig = z.output<typeof resnetSchema>;

const RESNET_LEVELS = 4;
/** Of strides 8 to 128. */
const SPINENET_LEVELS = 5;
const MOBILENET_LEVELS = 4;

/** How many levels of features a backbone gives. */
export function backboneLevelCount(backbone: BackboneConfig): number {
  switch (backbone.type) {
    case 'resnet':
      return RESNET_LEVELS;
    case 'spinenet':
      return SPINENET_LEVELS;
    case 'mobilenet':
      return backbone.featureLayers?.length ?? MOBILENET_LEVELS;
  }
}
