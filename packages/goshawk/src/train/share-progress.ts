// What the process of rank 0 read from a checkpoint, for the others, which need not see its folder: where the training stands, and the
// optimizer's state. The model's own tensors are shared with it (torch's shareState).
import { type DType, noGrad, type ProcessGroup, scope, type Tensor, tensor, zeros } from '@goshawk/torch';
import type { DetectorOptimizer } from './optimizer.js';

/** Rank 0's value in every process; plain JSON. */
export function ofRankZero<Value>(group: ProcessGroup, value: Value): Value {
  const text = group.rank === 0 ? JSON.stringify({ value }) : '';
  const [first] = group.allGatherBytes(new TextEncoder().encode(text));
  return (JSON.parse(new TextDecoder().decode(first)) as { value: Value }).value;
}

/** The sums of the processes' numbers. */
export function sumsOver(group: ProcessGroup, values: readonly number[]): number[] {
  return scope(() => {
    const sums = tensor(Float64Array.from(values));
    group.allReduce(sums);
    return sums.toNumbers();
  });
}

/** Rank 0's numbers in every process. */
export function fromRankZero(group: ProcessGroup | undefined, values: readonly number[]): readonly number[] {
  if (group === undefined) return values;
  return sumsOver(group, group.rank === 0 ? values : values.map(() => 0));
}

interface OptimizerLayout {
  readonly tensors: readonly (readonly [name: string, dtype: DType, shape: readonly number[]])[];
  readonly scalars: Readonly<Record<string, number>>;
}

/** Gives every process the state of rank 0's optimizer, which is over the same parameters. */
export function shareOptimizer(group: ProcessGroup, optimizer: DetectorOptimizer): void {
  scope(() =>
    noGrad(() => {
      const { tensors, scalars } = optimizer.stateDict();
      const own: OptimizerLayout = {
        tensors: Array.from(tensors, ([name, { dtype, shape }]) => [name, dtype, shape] as const),
        scalars,
      };
      const layout = ofRankZero(group, own);
      const device = group.device;
      const shared = new Map<string, Tensor>();
      for (const [name, dtype, shape] of layout.tensors) {
        const known = group.rank === 0 ? tensors.get(name) : undefined;
        const sent = known ?? zeros(shape, { dtype, device });
        group.broadcast(sent);
        shared.set(name, sent);
      }
      if (group.rank === 0) return;
      optimizer.loadStateDict({ tensors: shared, scalars: layout.scalars });
    }),
  );
}
