// MobileNetV2 (Sandler et al. 2018) and MobileNetV3 (Howard et al. 2019) without their classifiers, with torchvision's names.
import { type Layer, type Member, Module, type Tensor } from '@goshawk/torch';
import type { MobilenetConfig } from '../../config/index.js';
import type { Features } from '../structures.js';
import type { Backbone, FeatureLevel } from './backbone.js';
import type { NormOptions } from './conv-norm-layers.js';
import { ConvNormActivation, InvertedResidual } from './mobilenet-layers.js';
import { type MobilenetPlan, mobilenetPlan, stageStarts, strideBehind } from './mobilenet-plans.js';

export type MobileNetOptions = Omit<MobilenetConfig, 'type' | 'weights'>;

/**
 * Levels are the outputs of `featureLayers`, numbered as in torchvision's `features`. By default those of strides 4, 8 and 16 are the
 * first block of each, and that of stride 32 is the last 1x1 convolution: what torchvision's mobilenet_backbone gives for
 * returned_layers [1, 2, 3, 5]. Layers behind the last one that is given are not built.
 */
export class MobileNet extends Module implements Backbone {
  readonly levels: readonly FeatureLevel[];
  readonly #layers: readonly Layer[];
  readonly #given: readonly number[];

  constructor(options: MobileNetOptions) {
    super();
    const plan = mobilenetPlan(options);
    const starts = stageStarts(plan);
    const strides = strideBehind(plan);
    this.#given = options.featureLayers ?? [...starts.slice(1, 4), starts.at(-1)!];
    const { layers, channels } = makeLayers(plan, options);
    this.#layers = layers.slice(0, this.#given.at(-1)! + 1);
    this.levels = this.#given.map((layer) => ({ channels: channels[layer]!, stride: strides[layer]! }));
    const firstLearning = starts[options.frozenStages] ?? layers.length;
    for (const layer of this.#layers.slice(0, firstLearning)) layer.freeze();
  }

  override *members(): Iterable<readonly [string, Member]> {
    for (const [place, layer] of this.#layers.entries()) yield [`${place}`, layer];
  }

  forward(pixels: Tensor): Features {
    const features: Tensor[] = [];
    let hidden = pixels;
    for (const [place, layer] of this.#layers.entries()) {
      const output = layer.call(hidden);
      // The handle alone goes; autograd keeps the memory as long as it needs it.
      if (hidden !== pixels && !features.includes(hidden)) hidden.dispose();
      hidden = output;
      if (this.#given.includes(place)) features.push(hidden);
    }
    return features;
  }
}

function makeLayers(
  plan: MobilenetPlan,
  { variant, norm: kind, normEps: eps, normMomentum: momentum }: MobileNetOptions,
): { layers: Layer[]; channels: number[] } {
  const norm: NormOptions = { kind, eps, momentum };
  const { stemChannels, blocks, lastChannels, activation } = plan;
  const layers: Layer[] = [new ConvNormActivation(3, stemChannels, { kernel: 3, stride: 2, activation, norm })];
  const channels = [stemChannels];
  for (const block of blocks) {
    layers.push(new InvertedResidual(channels.at(-1)!, block, { norm, names: variant === 'v2' ? 'v2' : 'v3' }));
    channels.push(block.outChannels);
  }
  layers.push(new ConvNormActivation(channels.at(-1)!, lastChannels, { activation, norm }));
  return { layers, channels: [...channels, lastChannels] };
}
