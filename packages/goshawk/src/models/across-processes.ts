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
 * [S] bool: which of this process's scores are among the `limit` best of all processes. Of equal ones the first are taken, in the order of
 * the processes and then as they stand, so that the whole batch in one process keeps the same.
 * @param scores [S] of this process
 */
export function bestAcrossProcesses(scores: Tensor, limit: number): Tensor {
  const group = processGroup();
  const [rank, size] = group === undefined ? [0, 1] : [group.rank, group.size];
  return noGrad(() =>
    scope(() => {
      const count = Math.min(limit, scores.length);
      const [best] = ops.topk(scores, count, { dim: 0 });
      const own = ops.cat([best, ops.new_full(scores, [limit - count], -Infinity)]);
      const all = group === undefined || size === 1 ? own : ops.cat(group.allGather(own));
      const lowest = ops.amin(ops.topk(all, limit, { dim: 0 })[0]);
      const taken = ops.add(ops.sum(ops.gt(all, lowest)), ops.sum(ops.eq(ops.narrow(all, 0, 0, rank * limit), lowest)));
      const isTied = ops.eq(scores, lowest);
      const isFirst = ops.le(ops.cumsum(isTied, 0), ops.rsub(taken, limit));
      return ops.logical_or(ops.gt(scores, lowest), ops.logical_and(isTied, isFirst));
    }),
  );
}
