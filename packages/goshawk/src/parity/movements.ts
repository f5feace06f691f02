// How far a training has moved a model's parameters.
import { keep, ops, scope, type Tensor, type TensorData, tensor } from '@goshawk/torch';
import type { Detector } from '../models/index.js';

/** Of each learning parameter the Euclidean distance from its value in `start`. */
export function movements(model: Detector, start: ReadonlyMap<string, TensorData | Tensor>): Map<string, number> {
  const learning = [...model.namedParameters()].filter(([, parameter]) => parameter.requiresGrad);
  return new Map(learning.map(([name, parameter]) => [name, distance(parameter, start.get(name)!)]));
}

/** Euclidean; each difference in the wider of the two types, their squares and sum in float64. */
export function distance(value: Tensor, from: TensorData | Tensor): number {
  return scope(() => {
    const before = 'toNumbers' in from ? from : tensor(floatsOf(from), { shape: from.shape });
    return ops.linalg_vector_norm(ops.sub(value.detach(), before.detach()), { dtype: 'float64' }).item();
  });
}

/** A start as tensors, for those who measure from it many times; they stay. */
export function asTensors(start: ReadonlyMap<string, TensorData>): ReadonlyMap<string, Tensor> {
  return new Map([...start].map(([name, value]) => [name, keep(tensor(floatsOf(value), { shape: value.shape }))]));
}

function floatsOf({ data }: TensorData): Float32Array {
  return new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
}
