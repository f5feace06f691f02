// Elementwise layers without parameters.
import { callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';
import { Layer } from './module.js';

/** max(x, 0); with `inPlace` in the input's own memory, which autograd allows after convolutions and norms. */
export class ReLU extends Layer {
  readonly inPlace: boolean;

  constructor({ inPlace = false }: { inPlace?: boolean } = {}) {
    super();
    this.inPlace = inPlace;
  }

  override forward(input: Tensor): Tensor {
    return callTensorOp(this.inPlace ? 'aten::relu_' : 'aten::relu', input);
  }
}

/** 1 / (1 + exp(-x)) */
export class Sigmoid extends Layer {
  override forward(input: Tensor): Tensor {
    return callTensorOp('aten::sigmoid', input);
  }
}

/** x sigmoid(x), also known as swish. */
export class SiLU extends Layer {
  override forward(input: Tensor): Tensor {
    return callTensorOp('aten::silu', input);
  }
}

/** x times the normal distribution function at x, or its tanh approximation (Hendrycks and Gimpel 2016). */
export class GELU extends Layer {
  readonly approximate: 'none' | 'tanh';

  constructor({ approximate = 'none' }: { approximate?: 'none' | 'tanh' } = {}) {
    super();
    this.approximate = approximate;
  }

  override forward(input: Tensor): Tensor {
    return callTensorOp('aten::gelu', input, this.approximate);
  }
}

export class Identity extends Layer {
  override forward(input: Tensor): Tensor {
    return input;
  }
}

/** In training, zeroes each element with probability `p` and divides the others by 1 - p. */
export class Dropout extends Layer {
  readonly p: number;

  constructor(p = 0.5) {
    super();
    if (!(p >= 0 && p <= 1)) throw new RangeError(`Dropout: the probability must be within 0..1, got ${p}`);
    this.p = p;
  }

  override forward(input: Tensor): Tensor {
    return this.training && this.p > 0 ? callTensorOp('aten::dropout', input, this.p, true) : input;
  }
}
