// Necks: from a backbone's feature maps to the levels that the heads read.
import { z } from 'zod';
import { channelCount, epsilon, layerCount } from '../bounds.js';
import { type BackboneConfig, backboneLevelCount } from './backbone-schema.js';
import { fitsGroupNorm, GROUP_NORM_CHANNELS } from './box-head-schema.js';

const channels = () => channelCount().default(256).describe('Channels of every level.');
const neckNorm = () =>
  z
    .enum(['none', 'group', 'batch', 'sync_batch'])
    .default('none')
    .describe('Normalisation behind each convolution; sync_batch: batch norm over the pictures of all processes.');

const finestShape = {
  finestStride: z
    .literal([8, 16, 32])
    .optional()
    .describe(
      "Levels of a ResNet with fewer network pixels a cell than this are left out, where all objects are large. Absent: none is, the finest has 4. A MobileNet's levels are its backbone.featureLayers.",
    ),
};

const extraShape = {
  extraLevel: z
    .enum(['pool', 'convolutions', 'none'])
    .default('pool')
    .describe(
      "pool adds a level of half the resolution of the last one, for large anchors; convolutions adds learned ones, the first from the backbone's last stage (Detectron's EXTRA_CONV_LEVELS).",
    ),
  extraConvolutions: z
    .int()
    .min(1)
    .max(4)
    .default(1)
    .describe('Levels that extraLevel convolutions adds, each of half the resolution of the one before.'),
};

const fpnSchema = z.strictObject({
  type: z.literal('fpn').default('fpn').describe('The kind of neck: a feature pyramid.'),
  channels: channels(),
  ...finestShape,
  ...extraShape,
  norm: neckNorm(),
  biases: z.boolean().default(true).describe('Whether convolutions without a norm behind them have biases.'),
  upsampling: z
    .enum(['nearest', 'bilinear'])
    .default('nearest')
    .describe(
      'How a level is enlarged for the finer one: its cells repeated, or blended with the corners staying corners.',
    ),
  finestOnly: z.boolean().default(false).describe('Give the finest level alone (Detectron calls it P2only).'),
  zeroInitLateral: z.boolean().default(false).describe('Lateral convolutions start at zero.'),
});

const panetSchema = z.strictObject({
  type: z
    .literal('panet')
    .describe('The kind of neck: a feature pyramid with a second path, from fine to coarse (PANet).'),
  channels: channels(),
  ...finestShape,
  ...extraShape,
  norm: neckNorm(),
});

const bifpnShape = {
  type: z
    .literal('bifpn')
    .describe("The kind of neck: EfficientDet's pyramid with learned weights, in both directions."),
  channels: channels(),
  repeats: layerCount().default(3).describe('How often the levels are fused; EfficientDet has 3 to 8.'),
  norm: z
    .enum(['batch', 'group'])
    .default('batch')
    .describe('Normalisation behind each fusion and lateral convolution.'),
  normEps: epsilon().default(1e-3).describe('Added to the variance.'),
  normMomentum: z
    .number()
    .positive()
    .max(1)
    .default(0.01)
    .describe('Share of the newest batch in the running statistics; raise it for short trainings.'),
};

const extraLevels = (standard: number) =>
  z
    .int()
    .min(0)
    .max(4)
    .default(standard)
    .describe(
      "Levels beyond the backbone's, each of half the resolution of the one before, which take part in the fusion.",
    );

const bifpnSchema = z.strictObject({ ...bifpnShape, ...finestShape, extraLevels: extraLevels(1) });

const noNeckSchema = z.strictObject({
  type: z.literal('none').describe('The heads read one stage of the backbone.'),
  stage: z
    .literal([4, 5])
    .default(4)
    .describe(
      'Which: 4 is of stride 16 (C4, the last stage belongs to the box head), 5 of stride 32 (the last of the featureLayers of a MobileNet).',
    ),
});

export const neckSchema = z.discriminatedUnion('type', [fpnSchema, panetSchema, bifpnSchema, noNeckSchema]);

export type NeckConfig = z.output<typeof neckSchema>;
/** Necks that mix several levels of a backbone. */
export type PyramidConfig = Exclude<NeckConfig, { type: 'none' }>;

const p6p7Shape = {
  channels: channels(),
  extraLevelsFrom: z
    .enum(['p5', 'c5'])
    .default('p5')
    .describe("What the level of stride 64 is made from: the pyramid's last level, or the backbone's (version 2)."),
  reluBeforeP7: z
    .boolean()
    .default(true)
    .describe('Whether the level of stride 128 is made from the positive part of the one before.'),
};

/** Necks of one-stage detectors: the backbone's levels from stride 8 on, and two coarser ones. */
export const retinaNeckSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('fpn').default('fpn').describe('The kind of neck: a feature pyramid.'),
    ...p6p7Shape,
  }),
  z.strictObject({
    type: z
      .literal('panet')
      .describe('The kind of neck: a feature pyramid with a second path, from fine to coarse (PANet).'),
    ...p6p7Shape,
    norm: neckNorm(),
  }),
  z.strictObject({ ...bifpnShape, extraLevels: extraLevels(2) }),
]);

export type RetinaNeckConfig = z.output<typeof retinaNeckSchema>;

interface Body {
  readonly neck: NeckConfig;
  readonly backbone: BackboneConfig;
}

/** What a pyramid asks of the backbone and of its own channels. */
export function checkPyramid({ neck, backbone }: Body, context: z.RefinementCtx): void {
  if (neck.type === 'none') return;
  const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
  if (backbone.type === 'spinenet')
    issue(['neck', 'type'], `is ${neck.type}, but SpineNet is its own pyramid: set it to none`);
  if (backbone.type === 'mobilenet' && neck.finestStride !== undefined)
    issue(['neck', 'finestStride'], 'is for ResNets: remove it, and name the layers in backbone.featureLayers');
  if (neck.type !== 'bifpn' && neck.norm === 'group' && !fitsGroupNorm(neck.channels))
    issue(['neck', 'channels'], GROUP_NORM_CHANNELS);
  if (backbone.type === 'resnet' && backbone.lastStageDilation > 1)
    issue(['backbone', 'lastStageDilation'], 'must be 1 under a pyramid: remove it');
}

/** The same, and what a single stage asks; for the schema of a detector. */
export function checkNeck({ neck, backbone }: Body, context: z.RefinementCtx): void {
  if (neck.type === 'none' && backbone.type === 'mobilenet' && neck.stage === 4)
    context.addIssue({
      code: 'custom',
      path: ['neck', 'stage'],
      message: 'is 4, whose box head is the last stage of a ResNet: take 5 on a MobileNet',
    });
  checkPyramid({ neck, backbone }, context);
}

/** How many levels a neck adds beyond the backbone's. */
export function extraLevelCount(neck: PyramidConfig): number {
  if (neck.type === 'bifpn') return neck.extraLevels;
  if ((neck.type === 'fpn' && neck.finestOnly) || neck.extraLevel === 'none') return 0;
  return neck.extraLevel === 'pool' ? 1 : neck.extraConvolutions;
}

/** How many levels of features the heads read. */
export function levelCount(backbone: BackboneConfig, neck: NeckConfig): number {
  // SpineNet is its own pyramid.
  if (backbone.type === 'spinenet') return backboneLevelCount(backbone);
  if (neck.type === 'none' || (neck.type === 'fpn' && neck.finestOnly)) return 1;
  return backboneLevelCount(backbone) - leftOutCount(neck) + extraLevelCount(neck);
}

/** How many of a ResNet's levels, which begin with stride 4, a neck leaves out. */
function leftOutCount({ finestStride }: PyramidConfig): number {
  return finestStride === undefined ? 0 : Math.log2(finestStride) - 2;
}
