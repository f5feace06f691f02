// What losses are divided by: numbers of the whole batch, of which each process that trains may have a part.
import { noGrad, ops, processGroup, scope, type Tensor, tensor } from '@goshawk/torch';

/**
 * Sums over all processes, element by element; alone, the numbers themselves. What all processes divide by such a sum adds up to what
 * one process with the whole batch computes, losses and gradients alike, however the pictures are split. Every process calls
 * it at the same places, whether its own part of the batch has something to count or not.
 */
export function acrossProcesses<Counts extends readonly number[]>(counts: Counts): Counts {
  const group = processGroup();
  if (group === undefined || group.size === 1) return counts;
  return scope(() => {
    const sums = tensor(counts, { dtype: 'float64' });
    group.allReduce(sums);
    return sums.toNumbers() as unknown as Counts;
  });
}

/** The same of a tensor, which stays on its device: on a card nothing is read. It gets no gradient. */
export function acrossProcessesOnDevice(counts: Tensor): Tensor {
  const group = processGroup();
  if (group === undefined || group.size === 1) return counts;
  return noGrad(() => {
    const sums = ops.clone(counts.to('float32'));
    group.allReduce(sums);
    return sums;
  });
}

/**
 * The lowest score among the `limit` best of all processes, a scalar: -Infinity where there are fewer. undefined alone.
 * @param scores [S] of this process
 */
export function lowestOfBest(scores: Tensor, limit: number): Tensor | undefined {
  const group = processGroup();
  if (group === undefined || group.size === 1) return undefined;
  return noGrad(() =>
    scope(() => {
      const count = Math.min(limit, scores.length);
      const [own] = ops.topk(scores, count, { dim: 0 });
      const lacking = ops.new_full(scores, [limit - count], -Infinity);
      const all = ops.cat(group.allGather(ops.cat([own, lacking])));
      return ops.amin(ops.topk(all, limit, { dim: 0 })[0]);
    }),
  );
}
