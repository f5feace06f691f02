// The layers of MobileNetV2 (Sandler et al. 2018, table 2) and MobileNetV3 (Howard et al. 2019, tables 1 and 2), numbered as in
// torchvision's `features`: 0 is the stem, then blocks, last a 1x1 convolution.
import type { MobilenetConfig } from '../../config/index.js';
import type { Activation } from '../activations.js';

/** An inverted residual: a 1x1 convolution to more channels, a depthwise one, a 1x1 one back; without activation behind it. */
export interface BlockPlan {
  readonly kernel: 3 | 5;
  /** Channels inside. */
  readonly expanded: number;
  readonly outChannels: number;
  readonly stride: 1 | 2;
  readonly activation: Activation;
  /** Channels between the two layers of the squeeze-and-excitation; absent: there is none. */
  readonly squeezed?: number;
}

export interface MobilenetPlan {
  readonly stemChannels: number;
  readonly blocks: readonly BlockPlan[];
  readonly lastChannels: number;
  /** Of the stem and of the last convolution. */
  readonly activation: Activation;
}

export function mobilenetPlan({
  variant,
  widthFactor,
}: Pick<MobilenetConfig, 'variant' | 'widthFactor'>): MobilenetPlan {
  return variant === 'v2' ? v2Plan(widthFactor) : v3Plan(variant === 'v3_large' ? V3_LARGE : V3_SMALL, widthFactor);
}

/** The nearest multiple of 8, at least 8 and not below 0.9 of the channels: so hardware likes them. */
function roundedChannels(channels: number): number {
  const nearest = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return nearest < 0.9 * channels ? nearest + 8 : nearest;
}

/** Expansion, channels, blocks, stride of the first. */
const V2_STAGES = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
] as const;

function v2Plan(widthFactor: number): MobilenetPlan {
  const stemChannels = roundedChannels(32 * widthFactor);
  let channels = stemChannels;
  const blocks = V2_STAGES.flatMap(([expansion, own, count, stride]) =>
    Array.from({ length: count }, (_, i): BlockPlan => {
      const expanded = channels * expansion;
      channels = roundedChannels(own * widthFactor);
      return { kernel: 3, expanded, outChannels: channels, stride: i === 0 ? stride : 1, activation: 'relu6' };
    }),
  );
  // A narrower network keeps a wide last layer (section 5.1 of the paper).
  return { stemChannels, blocks, lastChannels: roundedChannels(1280 * Math.max(1, widthFactor)), activation: 'relu6' };
}

/** Kernel, expanded channels, channels, whether it squeezes, activation, stride. */
type V3Row = readonly [3 | 5, number, number, boolean, 'relu' | 'hardswish', 1 | 2];

const V3_LARGE: readonly V3Row[] = [
  [3, 16, 16, false, 'relu', 1],
  [3, 64, 24, false, 'relu', 2],
  [3, 72, 24, false, 'relu', 1],
  [5, 72, 40, true, 'relu', 2],
  [5, 120, 40, true, 'relu', 1],
  [5, 120, 40, true, 'relu', 1],
  [3, 240, 80, false, 'hardswish', 2],
  [3, 200, 80, false, 'hardswish', 1],
  [3, 184, 80, false, 'hardswish', 1],
  [3, 184, 80, false, 'hardswish', 1],
  [3, 480, 112, true, 'hardswish', 1],
  [3, 672, 112, true, 'hardswish', 1],
  [5, 672, 160, true, 'hardswish', 2],
  [5, 960, 160, true, 'hardswish', 1],
  [5, 960, 160, true, 'hardswish', 1],
];

const V3_SMALL: readonly V3Row[] = [
  [3, 16, 16, true, 'relu', 2],
  [3, 72, 24, false, 'relu', 2],
  [3, 88, 24, false, 'relu', 1],
  [5, 96, 40, true, 'hardswish', 2],
  [5, 240, 40, true, 'hardswish', 1],
  [5, 240, 40, true, 'hardswish', 1],
  [5, 120, 48, true, 'hardswish', 1],
  [5, 144, 48, true, 'hardswish', 1],
  [5, 288, 96, true, 'hardswish', 2],
  [5, 576, 96, true, 'hardswish', 1],
  [5, 576, 96, true, 'hardswish', 1],
];

const STEM_CHANNELS_V3 = 16;

function v3Plan(rows: readonly V3Row[], widthFactor: number): MobilenetPlan {
  const blocks = rows.map(([kernel, expansion, channels, squeezes, activation, stride]): BlockPlan => {
    const expanded = roundedChannels(expansion * widthFactor);
    const squeezed = squeezes ? { squeezed: roundedChannels(Math.floor(expanded / 4)) } : {};
    return { kernel, expanded, outChannels: roundedChannels(channels * widthFactor), stride, activation, ...squeezed };
  });
  return {
    stemChannels: roundedChannels(STEM_CHANNELS_V3 * widthFactor),
    blocks,
    lastChannels: 6 * blocks.at(-1)!.outChannels,
    activation: 'hardswish',
  };
}

/** Numbers of the layers that halve the resolution, the stem first, and of the last one: where torchvision's stages begin. */
export function stageStarts({ blocks }: MobilenetPlan): readonly number[] {
  const strided = blocks.flatMap(({ stride }, i) => (stride === 2 ? [i + 1] : []));
  return [0, ...strided, blocks.length + 1];
}

/** Network pixels a cell behind each layer, the stem first. */
export function strideBehind({ blocks }: MobilenetPlan): readonly number[] {
  const strides = [2];
  for (const { stride } of blocks) strides.push(strides.at(-1)! * stride);
  return [...strides, strides.at(-1)!];
}
