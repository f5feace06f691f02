// The pieces of MobileNets, with torchvision's names.
import { Conv2d, init, Layer, type Member, ops, type Tensor } from '@goshawk/torch';
import { type Activation, activate } from '../activations.js';
import { convThenNorm, makeConv, makeNorm, type Norm, type NormOptions } from './conv-norm-layers.js';
import type { BlockPlan } from './mobilenet-plans.js';

interface ConvNormActivationOptions {
  readonly kernel?: number;
  readonly stride?: number;
  readonly groups?: number;
  readonly activation: Activation;
  readonly norm: NormOptions;
}

/** A convolution, its norm and an activation; names `0` and `1`. */
export class ConvNormActivation extends Layer {
  readonly #conv: Conv2d;
  readonly #norm: Norm;
  readonly #activation: Activation;

  constructor(inChannels: number, outChannels: number, options: ConvNormActivationOptions) {
    super();
    const { kernel = 1, stride = 1, groups = 1, activation, norm } = options;
    this.#conv = makeConv(inChannels, outChannels, kernel, { stride, groups });
    this.#norm = makeNorm(norm, outChannels);
    this.#activation = activation;
  }

  override *members(): Iterable<readonly [string, Member]> {
    yield ['0', this.#conv];
    yield ['1', this.#norm];
  }

  /** @param residual added behind the norm */
  override forward(input: Tensor, residual?: Tensor): Tensor {
    const relu = this.#activation === 'relu';
    const output = convThenNorm(input, this.#conv, this.#norm, { residual, relu });
    return relu ? output : activate(output, this.#activation);
  }
}

/**
 * Factors between 0 and 1 for each channel, from the means of all of them (Hu et al., Squeeze-and-Excitation Networks, 2017), by the
 * hard sigmoid of MobileNetV3; names `fc1` and `fc2`.
 */
export class SqueezeExcitation extends Layer {
  readonly fc1: Conv2d;
  readonly fc2: Conv2d;

  constructor(channels: number, squeezed: number) {
    super();
    this.fc1 = initialised(new Conv2d(channels, squeezed, 1));
    this.fc2 = initialised(new Conv2d(squeezed, channels, 1));
  }

  override forward(input: Tensor): Tensor {
    const means = ops.mean(input, [2, 3], { keepdim: true });
    const factors = ops.hardsigmoid(this.fc2.forward(ops.relu_(this.fc1.forward(means))));
    return ops.mul(input, factors);
  }
}

function initialised(conv: Conv2d): Conv2d {
  init.kaimingNormal(conv.weight, { mode: 'fan_out', nonlinearity: 'relu' });
  if (conv.bias) init.constant(conv.bias, 0);
  return conv;
}

/** Whose names the parts of a block have: in V2 the last convolution and its norm stand in the list themselves. */
export type BlockNames = 'v2' | 'v3';

/** An inverted residual (Sandler et al. 2018, figure 4d; Howard et al. 2019, figure 4); names `conv.N` in V2 and `block.N` in V3. */
export class InvertedResidual extends Layer {
  readonly #names: BlockNames;
  readonly #expand?: ConvNormActivation;
  readonly #depthwise: ConvNormActivation;
  readonly #squeeze?: SqueezeExcitation;
  readonly #project: ConvNormActivation;
  readonly #isResidual: boolean;

  constructor(inChannels: number, plan: BlockPlan, { norm, names }: { norm: NormOptions; names: BlockNames }) {
    super();
    const { kernel, expanded, outChannels, stride, activation, squeezed } = plan;
    this.#names = names;
    this.#isResidual = stride === 1 && inChannels === outChannels;
    if (expanded !== inChannels) this.#expand = new ConvNormActivation(inChannels, expanded, { activation, norm });
    const depthwise = { kernel, stride, groups: expanded, activation, norm };
    this.#depthwise = new ConvNormActivation(expanded, expanded, depthwise);
    if (squeezed !== undefined) this.#squeeze = new SqueezeExcitation(expanded, squeezed);
    this.#project = new ConvNormActivation(expanded, outChannels, { activation: 'none', norm });
  }

  override *members(): Iterable<readonly [string, Member]> {
    const parts: Member[] = [this.#expand, this.#depthwise, this.#squeeze].filter((part) => part !== undefined);
    if (this.#names === 'v3') parts.push(this.#project);
    else for (const [, part] of this.#project.members()) parts.push(part);
    for (const [place, part] of parts.entries()) yield [`${this.#names === 'v3' ? 'block' : 'conv'}.${place}`, part];
  }

  override forward(input: Tensor): Tensor {
    let hidden = this.#expand ? this.#expand.forward(input) : input;
    hidden = this.#depthwise.forward(hidden);
    if (this.#squeeze) hidden = this.#squeeze.call(hidden);
    return this.#project.forward(hidden, this.#isResidual ? input : undefined);
  }
}
