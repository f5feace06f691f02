// Backbone and neck together: from pixels to the levels that heads read.
import { Module, scope, type Tensor } from '@goshawk/torch';
import { type BackboneConfig, extraLevelCount, type FpnConfig, type NeckConfig } from '../config/index.js';
import { ResNet, type ResNetOptions } from './backbones/resnet.js';
import { makeSpineNet } from './backbones/spinenet.js';
import { Fpn } from './necks/fpn.js';
import type { Features } from './structures.js';

export interface FeatureExtractor extends Module {
  /** Of every level. */
  readonly channels: number;
  /** Network pixels a cell of each level, finest first. */
  readonly strides: readonly number[];
  /** How many of the first levels features of boxes are cut out of. */
  readonly roiLevels: number;
  /** [N, 3, H, W] -> the levels, finest first. */
  forward(pixels: Tensor): Features;
}

/** The strides of a ResNet's stages 2 to 5. */
const STAGE_STRIDES = [4, 8, 16, 32] as const;

export class ResNetFpn extends Module implements FeatureExtractor {
  readonly body: ResNet;
  readonly fpn: Fpn;
  readonly channels: number;
  readonly strides: readonly number[];
  readonly roiLevels: number;

  constructor(options: ResNetOptions, neck: FpnConfig) {
    super();
    const { channels, extraLevel, norm, biases, upsampling, finestOnly, zeroInitLateral } = neck;
    const extraLevels = extraLevelCount(neck);
    this.body = new ResNet(options);
    this.fpn = new Fpn({
      inChannels: this.body.outChannels,
      channels,
      extraLevel: extraLevels > 0 && extraLevel === 'pool',
      extraConvolutions: extraLevel === 'convolutions' ? extraLevels : 0,
      norm,
      biases,
      upsampling,
      finestOnly,
      zeroInitLateral,
    });
    const strides = finestOnly ? STAGE_STRIDES.slice(0, 1) : STAGE_STRIDES;
    this.channels = channels;
    this.roiLevels = strides.length;
    this.strides = [...strides, ...Array.from({ length: extraLevels }, (_, i) => 64 * 2 ** i)];
  }

  forward(pixels: Tensor): Features {
    return scope(() => this.fpn.forward(this.body.forward(pixels)));
  }
}

class ResNetStageOnly extends Module implements FeatureExtractor {
  readonly body: ResNet;
  readonly channels: number;
  readonly strides: readonly number[];
  readonly roiLevels = 1;

  constructor(options: ResNetOptions, stage: 4 | 5) {
    super();
    this.body = new ResNet({ ...options, lastStage: stage });
    this.channels = this.body.outChannels.at(-1)!;
    const isDilated = stage === 5 && (options.lastStageDilation ?? 1) > 1;
    this.strides = [stage === 4 || isDilated ? 16 : 32];
  }

  forward(pixels: Tensor): Features {
    return scope(() => this.body.forward(pixels).slice(-1));
  }
}

export function makeFeatureExtractor(backbone: BackboneConfig, neck: NeckConfig): FeatureExtractor {
  // SpineNet makes a pyramid by itself.
  if (backbone.type === 'spinenet') return makeSpineNet(backbone);
  return neck.type === 'fpn' ? new ResNetFpn(backbone, neck) : new ResNetStageOnly(backbone, neck.stage);
}
