// Necks: from a backbone's feature maps to the levels that the heads read.
import { z } from 'zod';
import { channelCount } from '../bounds.js';

const fpnSchema = z.strictObject({
  type: z.literal('fpn').default('fpn').describe('The kind of neck.'),
  channels: channelCount().default(256).describe('Channels of every level.'),
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
  norm: z.enum(['none', 'group', 'batch']).default('none').describe('Normalisation behind each convolution.'),
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

const noNeckSchema = z.strictObject({
  type: z.literal('none').describe('The heads read one stage of the backbone.'),
  stage: z
    .literal([4, 5])
    .default(4)
    .describe('Which: 4 is of stride 16 (C4, the last stage belongs to the box head), 5 of stride 32.'),
});

export const neckSchema = z.discriminatedUnion('type', [fpnSchema, noNeckSchema]);

export type NeckConfig = z.output<typeof neckSchema>;
export type FpnConfig = z.output<typeof fpnSchema>;

/** How many levels a pyramid has beyond the backbone's. */
export function extraLevelCount(neck: FpnConfig): number {
  if (neck.finestOnly || neck.extraLevel === 'none') return 0;
  return neck.extraLevel === 'pool' ? 1 : neck.extraConvolutions;
}

/** How many levels of features a neck gives. */
export function levelCount(neck: NeckConfig): number {
  if (neck.type === 'none' || neck.finestOnly) return 1;
  return 4 + extraLevelCount(neck);
}
