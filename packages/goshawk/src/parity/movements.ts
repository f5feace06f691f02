// How far a training has moved a model's parameters.
import { scope, type TensorData } from '@goshawk/torch';
import type { Detector } from '../models/index.js';

/** Of each learning parameter the Euclidean distance from its value in `start`. */
export function movements(model: Detector, start: ReadonlyMap<string, TensorData>): Map<string, number> {
  return scope(() => {
    const learning = [...model.namedParameters()].filter(([, parameter]) => parameter.requiresGrad);
    return new Map(
      learning.map(([name, parameter]) => {
        const { data } = start.get(name)!;
        const before = new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
        const now = parameter.contiguous().toNumbers();
        return [name, Math.sqrt(now.reduce((sum, value, i) => sum + (value - before[i]!) ** 2, 0))];
      }),
    );
  });
}
