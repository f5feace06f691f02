// The learning rate as a function of the iteration alone, so that resuming needs no scheduler state.
import type { ScheduleConfig } from '../config/index.js';

/** A schedule whose lengths are all iterations. */
export type IterationSchedule = Omit<ScheduleConfig, 'stepUnit' | 'steps' | 'warmupIterations'> & {
  readonly steps: readonly number[];
  readonly warmupIterations: number;
  /** Iterations that a cosine spans. */
  readonly length: number;
};

/**
 * What the learning rate is multiplied by in one iteration: the warm-up's factor times gamma for each step that has
 * come, or times the factor of the last one (Detectron's steps_with_lrs), or times half a cosine from 1 to finalFactor. The linear warm-up is that of torchvision (LinearLR), Detectron, maskrcnn-benchmark and mmcv:
 * `warmupFactor + (1 - warmupFactor) * iteration / warmupIterations`; the exponential one is mmcv's:
 * `warmupFactor ** (1 - iteration / warmupIterations)`.
 * @param iteration optimizer steps done before: 0 in the first
 */
export function learningRateFactor(iteration: number, schedule: IterationSchedule): number {
  if (schedule.stepsWaitForWarmup && iteration < schedule.warmupIterations) return warmupFactor(iteration, schedule);
  return warmupFactor(iteration, schedule) * decayFactor(iteration, schedule);
}

/**
 * The same of a schedule that is stretched or shrunk, where its place is a share of its length. The warm-up ends after its own
 * iterations at the latest.
 */
export function learningRateFactorAt(
  { share, iteration }: { readonly share: number; readonly iteration: number },
  schedule: IterationSchedule,
): number {
  const place = share * schedule.length;
  const warmup = warmupFactor(Math.max(place, iteration), schedule);
  const isWarm = Math.max(place, iteration) >= schedule.warmupIterations;
  return schedule.stepsWaitForWarmup && !isWarm ? warmup : warmup * decayFactor(place, schedule);
}

function decayFactor(iteration: number, schedule: IterationSchedule): number {
  if (schedule.decay === 'cosine') {
    const { finalFactor, length } = schedule;
    const share = Math.min(1, iteration / length);
    return finalFactor + ((1 - finalFactor) * (1 + Math.cos(Math.PI * share))) / 2;
  }
  const stepsDone = schedule.steps.filter((step) => iteration >= step).length;
  return schedule.factors ? (schedule.factors[stepsDone - 1] ?? 1) : schedule.gamma ** stepsDone;
}

function warmupFactor(iteration: number, schedule: IterationSchedule): number {
  if (iteration >= schedule.warmupIterations) return 1;
  switch (schedule.warmup) {
    case 'linear':
      return schedule.warmupFactor + ((1 - schedule.warmupFactor) * iteration) / schedule.warmupIterations;
    case 'exponential':
      return schedule.warmupFactor ** (1 - iteration / schedule.warmupIterations);
    case 'constant':
      return schedule.warmupFactor;
  }
}
