// Multi-head attention (Vaswani et al. 2017), with the parameters and numbers of torch.nn.MultiheadAttention.
import { empty, zeros } from '../tensor/create.js';
import { callOp, callTensorOp } from '../tensor/dispatch.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import * as init from './init.js';
import { Linear } from './linear.js';
import { Module } from './module.js';
import { Parameter } from './parameter.js';

export interface AttentionOptions {
  /** Probability of dropping a weight in training. Default 0. */
  readonly dropout?: number;
  /** Default true. */
  readonly bias?: boolean;
  /** Tensors are [N, L, E] instead of PyTorch's default [L, N, E]. Default false. */
  readonly batchFirst?: boolean;
}

export interface AttendOptions {
  /** bool [N, S]: true where a key is to be passed over. */
  readonly keyPaddingMask?: Tensor;
  /** [L, S] or [N * heads, L, S]: bool, true where attention is forbidden, or floating, added to the scores. */
  readonly attentionMask?: Tensor;
}

/** Heads that each attend in E / heads dimensions; L queries, S keys and values. */
export class MultiheadAttention extends Module {
  /** The three projections of query, key and value, one above the other: [3 E, E]. */
  readonly inProjWeight: Parameter;
  readonly inProjBias: Parameter | undefined;
  readonly outProj: Linear;
  readonly embedDim: number;
  readonly heads: number;
  readonly dropout: number;
  readonly batchFirst: boolean;

  constructor(embedDim: number, heads: number, options: AttentionOptions = {}) {
    super();
    const { dropout = 0, bias = true, batchFirst = false } = options;
    if (embedDim % heads !== 0)
      throw new RangeError(`MultiheadAttention: ${embedDim} dimensions do not divide into ${heads} heads`);
    this.inProjWeight = new Parameter(empty([3 * embedDim, embedDim]));
    this.inProjBias = bias ? new Parameter(zeros([3 * embedDim])) : undefined;
    this.outProj = new Linear(embedDim, embedDim, { bias });
    init.xavierUniform(this.inProjWeight);
    if (this.outProj.bias) init.constant(this.outProj.bias, 0);
    this.embedDim = embedDim;
    this.heads = heads;
    this.dropout = dropout;
    this.batchFirst = batchFirst;
  }

  /** The attended values, shaped as the query. */
  call(query: Tensor, key: Tensor, value: Tensor, options: AttendOptions = {}): Tensor {
    return scope(() => this.forward(query, key, value, options).output);
  }

  /** The attended values, shaped as the query, and the weights [N, heads, L, S] before dropout. */
  callWithWeights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    options: AttendOptions = {},
  ): { output: Tensor; weights: Tensor } {
    return scope(() => this.forward(query, key, value, options));
  }

  protected forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    options: AttendOptions,
  ): { output: Tensor; weights: Tensor } {
    const { heads, embedDim } = this;
    const [q, k, v] = this.project(query, key, value).map((tensor) => this.splitHeads(tensor)) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    // [N, heads, L, S]; the query is the smaller operand to scale.
    const scaled = callTensorOp('aten::mul.Scalar', q, 1 / Math.sqrt(embedDim / heads));
    const scores = callTensorOp('aten::matmul', scaled, callTensorOp('aten::transpose.int', k, -2, -1));
    const weights = callTensorOp('aten::softmax.int', masked(scores, options), -1);
    const kept =
      this.training && this.dropout > 0 ? callTensorOp('aten::dropout', weights, this.dropout, true) : weights;
    const attended = callTensorOp('aten::matmul', kept, v);
    return { output: this.outProj.forward(this.mergeHeads(attended)), weights };
  }

  private project(query: Tensor, key: Tensor, value: Tensor): Tensor[] {
    const { inProjWeight: weight, inProjBias: bias } = this;
    if (query === key && key === value)
      return callOp('aten::chunk', callTensorOp('aten::linear', query, weight, bias), 3, -1) as Tensor[];
    const weights = callOp('aten::chunk', weight, 3, 0) as Tensor[];
    const biases = bias ? (callOp('aten::chunk', bias, 3, 0) as Tensor[]) : [];
    return [query, key, value].map((tensor, i) => callTensorOp('aten::linear', tensor, weights[i], biases[i]));
  }

  /** To [N, heads, length, E / heads]. */
  private splitHeads(tensor: Tensor): Tensor {
    const parts = callTensorOp('aten::unflatten.int', tensor, -1, [this.heads, -1]);
    return callTensorOp('aten::permute', parts, this.batchFirst ? [0, 2, 1, 3] : [1, 2, 0, 3]);
  }

  private mergeHeads(tensor: Tensor): Tensor {
    const parts = callTensorOp('aten::permute', tensor, this.batchFirst ? [0, 2, 1, 3] : [2, 0, 1, 3]);
    return callTensorOp('aten::flatten.using_ints', parts, 2, 3);
  }
}

function masked(scores: Tensor, { keyPaddingMask, attentionMask }: AttendOptions): Tensor {
  const [batch = 1, heads = 1] = scores.shape;
  let result = scores;
  if (attentionMask) {
    const mask =
      attentionMask.rank === 3 ? callTensorOp('aten::unflatten.int', attentionMask, 0, [batch, heads]) : attentionMask;
    result =
      mask.dtype === 'bool'
        ? callTensorOp('aten::masked_fill.Scalar', result, mask, Number.NEGATIVE_INFINITY)
        : callTensorOp('aten::add.Tensor', result, mask);
  }
  if (!keyPaddingMask) return result;
  const row = callTensorOp('aten::view', keyPaddingMask, [batch, 1, 1, -1]);
  return callTensorOp('aten::masked_fill.Scalar', result, row, Number.NEGATIVE_INFINITY);
}
