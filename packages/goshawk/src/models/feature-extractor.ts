// Backbone and neck together: from pixels to the levels that heads read.
import { InputError } from '@goshawk/core';
import { Module, scope, type Tensor } from '@goshawk/torch';
import type { BackboneConfig, NeckConfig, RetinaNeckConfig } from '../config/index.js';
import type { Backbone, FeatureLevel } from './backbones/backbone.js';
import { MobileNet } from './backbones/mobilenet.js';
import { ResNet } from './backbones/resnet.js';
import { makeSpineNet } from './backbones/spinenet.js';
import { makeNeck, makeRetinaNeck } from './necks/make-neck.js';
import type { Neck } from './necks/neck.js';
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

/** Names `body` and, whatever the neck, `fpn`, as in torchvision. */
export class BackboneWithNeck extends Module implements FeatureExtractor {
  readonly body: Backbone;
  readonly fpn: Neck;
  readonly channels: number;
  readonly strides: readonly number[];
  readonly roiLevels: number;
  /** Of the backbone's levels the first that the neck reads. */
  readonly #finest: number;

  /** @param finestStride finer levels of the backbone are left out */
  constructor(body: Backbone, neckOn: (levels: readonly FeatureLevel[]) => Neck, finestStride = 1) {
    super();
    this.body = body;
    this.#finest = body.levels.findIndex(({ stride }) => stride >= finestStride);
    if (this.#finest < 0)
      throw new InputError(
        'config-invalid',
        `model.backbone.featureLayers: ends at stride ${body.levels.at(-1)!.stride} (expected ${finestStride} or more): name a later layer`,
      );
    this.fpn = neckOn(body.levels.slice(this.#finest));
    ({ channels: this.channels, strides: this.strides, roiLevels: this.roiLevels } = this.fpn);
  }

  forward(pixels: Tensor): Features {
    return scope(() => this.fpn.forward(this.body.forward(pixels).slice(this.#finest)));
  }
}

/** The coarsest level of a backbone alone. */
class CoarsestLevel extends Module implements FeatureExtractor {
  readonly body: Backbone;
  readonly channels: number;
  readonly strides: readonly number[];
  readonly roiLevels = 1;

  constructor(body: Backbone) {
    super();
    this.body = body;
    const { channels, stride } = body.levels.at(-1)!;
    this.channels = channels;
    this.strides = [stride];
  }

  forward(pixels: Tensor): Features {
    return scope(() => this.body.forward(pixels).slice(-1));
  }
}

type LeveledConfig = Exclude<BackboneConfig, { type: 'spinenet' }>;

/** @param lastStage of a ResNet */
function makeBackbone(backbone: LeveledConfig, lastStage: 4 | 5 = 5): Backbone {
  switch (backbone.type) {
    case 'resnet':
      return new ResNet({ ...backbone, lastStage });
    case 'mobilenet':
      return new MobileNet(backbone);
  }
}

export function makeFeatureExtractor(backbone: BackboneConfig, neck: NeckConfig): FeatureExtractor {
  // SpineNet makes a pyramid by itself.
  if (backbone.type === 'spinenet') return makeSpineNet(backbone);
  if (neck.type === 'none') return new CoarsestLevel(makeBackbone(backbone, neck.stage));
  return new BackboneWithNeck(makeBackbone(backbone), (levels) => makeNeck(neck, levels), neck.finestStride);
}

const DEFAULT_RETINA_NECK: RetinaNeckConfig = {
  type: 'fpn',
  channels: 256,
  extraLevelsFrom: 'p5',
  reluBeforeP7: true,
};

// P2 has too many anchors (Lin et al. 2017, section 4): C2 is left out.
const RETINA_FINEST_STRIDE = 8;

/** Of a one-stage detector, whose levels begin with stride 8. */
export function makeRetinaExtractor(
  backbone: BackboneConfig,
  neck: RetinaNeckConfig = DEFAULT_RETINA_NECK,
): FeatureExtractor {
  if (backbone.type === 'spinenet') return makeSpineNet(backbone);
  const neckOn = (levels: readonly FeatureLevel[]) => makeRetinaNeck(neck, levels);
  return new BackboneWithNeck(makeBackbone(backbone), neckOn, RETINA_FINEST_STRIDE);
}
