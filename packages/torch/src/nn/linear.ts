// Linear maps of the last dimension, and tables of vectors.
import { empty } from '../tensor/create.js';
import { callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';
import { initialiseUniform } from './conv.js';
import * as init from './init.js';
import { Layer } from './module.js';
import { Parameter } from './parameter.js';

/** [..., in] to [..., out]: input times the transposed weight [out, in], plus bias. As torch.nn.Linear. */
export class Linear extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;

  constructor(inFeatures: number, outFeatures: number, { bias = true }: { bias?: boolean } = {}) {
    super();
    this.weight = new Parameter(empty([outFeatures, inFeatures]));
    this.bias = bias ? new Parameter(empty([outFeatures])) : undefined;
    initialiseUniform(this.weight, this.bias);
  }

  override forward(input: Tensor): Tensor {
    return callTensorOp('aten::linear', input, this.weight, this.bias);
  }
}

/** Integers [...] to rows [..., dim] of a weight [count, dim]. As torch.nn.Embedding. */
export class Embedding extends Layer {
  readonly weight: Parameter;

  constructor(count: number, dim: number) {
    super();
    this.weight = init.normal(new Parameter(empty([count, dim])));
  }

  override forward(indices: Tensor): Tensor {
    return callTensorOp('aten::embedding', this.weight, indices);
  }
}
