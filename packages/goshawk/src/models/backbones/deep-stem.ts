// The first convolution of a ResNet as three (Inception's stem; ResNet-C of "Bag of Tricks for Image Classification", He et al.
// 2018), as Res2Net's v1b has it, with its names.
import { type Conv2d, Layer, type Member, type Tensor } from '@goshawk/torch';
import { convThenNorm, makeConv, makeNorm, type Norm, type NormOptions } from './conv-norm-layers.js';

/** Three 3x3 convolutions of stride 2, 1 and 1 in the place of one 7x7; the norm behind the last is the ResNet's bn1. */
export class DeepStem extends Layer {
  readonly #convs: readonly [Conv2d, Conv2d, Conv2d];
  readonly #norms: readonly [Norm, Norm];

  constructor(channels: number, norm: NormOptions) {
    super();
    const half = channels / 2;
    this.#convs = [makeConv(3, half, 3, { stride: 2 }), makeConv(half, half, 3), makeConv(half, channels, 3)];
    this.#norms = [makeNorm(norm, half), makeNorm(norm, half)];
  }

  /** Numbered as in the original, which counts the activations too. */
  override *members(): Iterable<readonly [string, Member]> {
    yield* super.members();
    for (const [place, norm] of this.#norms.entries()) {
      yield [String(3 * place), this.#convs[place]!];
      yield [String(3 * place + 1), norm];
    }
    yield ['6', this.#convs[2]];
  }

  /** The convolution in front of bn1, and what it reads. */
  beforeLast(pixels: Tensor): readonly [Tensor, Conv2d] {
    const hidden = this.#norms.reduce(
      (input, norm, place) => convThenNorm(input, this.#convs[place]!, norm, { relu: true }),
      pixels,
    );
    return [hidden, this.#convs[2]];
  }

  override forward(pixels: Tensor): Tensor {
    const [hidden, conv] = this.beforeLast(pixels);
    return conv.forward(hidden);
  }
}
