// Normalisation layers.
import { batchNormTraining, groupNorm } from '../kernels/norms.js';
import { convert } from '../tensor/convert.js';
import { ones, zeros } from '../tensor/create.js';
import { callOp, callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';
import { areFillerRows } from './filler-rows.js';
import { Layer } from './module.js';
import { type Buffer, Parameter } from './parameter.js';

/**
 * Per channel of [N, C, H, W]: by the batch's mean and variance in training, by the running ones otherwise. As
 * torch.nn.BatchNorm2d (Ioffe and Szegedy 2015).
 */
export class BatchNorm2d extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter;
  declare readonly runningMean: Buffer;
  declare readonly runningVar: Buffer;
  declare readonly numBatchesTracked: Buffer;
  readonly eps: number;
  /** Share of the newest batch in the running values. */
  readonly momentum: number;

  constructor(channels: number, { eps = 1e-5, momentum = 0.1 }: { eps?: number; momentum?: number } = {}) {
    super();
    this.weight = new Parameter(ones([channels]));
    this.bias = new Parameter(zeros([channels]));
    this.registerBuffer('runningMean', zeros([channels]));
    this.registerBuffer('runningVar', ones([channels]));
    this.registerBuffer('numBatchesTracked', zeros([], { dtype: 'int64' }));
    this.eps = eps;
    this.momentum = momentum;
  }

  override forward(input: Tensor): Tensor {
    if (this.training) callOp('aten::add_.Scalar', this.numBatchesTracked, 1);
    return this.training && !areFillerRows() ? batchNormTraining(input, this, this) : batchNormOfRunning(input, this);
  }

  // Checkpoints from before PyTorch 0.4.1 have no such count.
  override toleratedState(): readonly string[] {
    return ['num_batches_tracked'];
  }
}

/**
 * A batch norm whose statistics and affine part never change: all four tensors are buffers. As torchvision's
 * FrozenBatchNorm2d; convFrozenNorm() folds it into the convolution before it.
 */
export class FrozenBatchNorm2d extends Layer {
  declare readonly weight: Buffer;
  declare readonly bias: Buffer;
  declare readonly runningMean: Buffer;
  declare readonly runningVar: Buffer;
  readonly eps: number;

  constructor(channels: number, { eps = 1e-5 }: { eps?: number } = {}) {
    super();
    this.registerBuffer('weight', ones([channels]));
    this.registerBuffer('bias', zeros([channels]));
    this.registerBuffer('runningMean', zeros([channels]));
    this.registerBuffer('runningVar', ones([channels]));
    this.eps = eps;
  }

  override forward(input: Tensor): Tensor {
    return batchNormOfRunning(input, this);
  }

  override toleratedState(): readonly string[] {
    return ['num_batches_tracked'];
  }
}

/**
 * A fixed factor and offset a channel: what is left of a batch norm merged with its statistics, as in Caffe's and
 * Detectron's ResNets (AffineChannel). Both are parameters that do not learn; convFrozenNorm() folds them.
 */
export class AffineChannel2d extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter;

  constructor(channels: number) {
    super();
    this.weight = new Parameter(ones([channels]), { requiresGrad: false });
    this.bias = new Parameter(zeros([channels]), { requiresGrad: false });
  }

  override forward(input: Tensor): Tensor {
    const perChannel = (values: Tensor): Tensor => callTensorOp('aten::view', values, [-1, 1, 1]);
    return callTensorOp('aten::addcmul', perChannel(this.bias), input, perChannel(this.weight));
  }
}

/** Per image and group of channels of [N, C, ...]. As torch.nn.GroupNorm (Wu and He 2018). */
export class GroupNorm extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly groups: number;
  readonly eps: number;

  constructor(groups: number, channels: number, { eps = 1e-5 }: { eps?: number } = {}) {
    super();
    if (channels % groups !== 0)
      throw new RangeError(`GroupNorm: ${channels} channels do not divide into ${groups} groups`);
    this.weight = new Parameter(ones([channels]));
    this.bias = new Parameter(zeros([channels]));
    this.groups = groups;
    this.eps = eps;
  }

  override forward(input: Tensor): Tensor {
    return groupNorm(input, this.groups, this.weight, this.bias, this.eps);
  }
}

/** Over the last dimensions, whose sides are `shape`. As torch.nn.LayerNorm (Ba et al. 2016). */
export class LayerNorm extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly normalizedShape: readonly number[];
  readonly eps: number;

  constructor(shape: number | readonly number[], { eps = 1e-5 }: { eps?: number } = {}) {
    super();
    this.normalizedShape = typeof shape === 'number' ? [shape] : shape;
    this.weight = new Parameter(ones(this.normalizedShape));
    this.bias = new Parameter(zeros(this.normalizedShape));
    this.eps = eps;
  }

  override forward(input: Tensor): Tensor {
    return callTensorOp('aten::layer_norm', input, this.normalizedShape, ...affineFor(input, this), this.eps);
  }
}

/** By the running mean and variance, which stay as they are. */
function batchNormOfRunning(input: Tensor, norm: BatchNorm2d | FrozenBatchNorm2d): Tensor {
  const { weight, bias, runningMean, runningVar, eps } = norm;
  return callTensorOp('aten::batch_norm', input, weight, bias, runningMean, runningVar, false, 0, eps, true);
}

/** Under autocast the input may be bfloat16: libtorch 1.13 then wants a norm's parameters in the same type. */
function affineFor(
  input: Tensor,
  { weight, bias }: { readonly weight: Parameter; readonly bias: Parameter },
): [Tensor, Tensor] {
  return [convert(weight, input.dtype), convert(bias, input.dtype)];
}
