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

const bifpnSchema = z.strictObject({ ...bifpnShape, extraLevels: extraLevels(1) });

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

/** What a neck asks of the backbone and of its own channels; for the schema of a detector. */
export function checkNeck(
  { neck, backbone }: { readonly neck: NeckConfig; readonly backbone: BackboneConfig },
  context: z.RefinementCtx,
): void {
  const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
  if (neck.type === 'none') {
    if (backbone.type === 'mobilenet' && neck.stage === 4)
      issue(['neck', 'stage'], 'is 4, whose box head is the last stage of a ResNet: take 5 on a MobileNet');
    return;
  }
  if (backbone.type === 'spinenet')
    issue(['neck', 'type'], `is ${neck.type}, but SpineNet is its own pyramid: set it to none`);
  if (neck.type !== 'bifpn' && neck.norm === 'group' && !fitsGroupNorm(neck.channels))
    issue(['neck', 'channels'], GROUP_NORM_CHANNELS);
  if (backbone.type === 'resnet' && backbone.lastStageDilation > 1)
    issue(['backbone', 'lastStageDilation'], 'must be 1 under a pyramid: remove it');
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
  return backboneLevelCount(backbone) + extraLevelCount(neck);
}
