// Whether what a card computed is what the CPU did.
import type { DType, Tensor } from '@goshawk/torch';

/** Relative to a value and to the root mean square of all: of sums in another order, and of one rounding of the short types. */
const TOLERANCES: Partial<Record<DType, number>> = {
  float32: 2e-5,
  float64: 1e-11,
  float16: 2 ** -9,
  bfloat16: 2 ** -6,
};

export interface Comparison {
  /** The largest difference over its tolerance's unit: relative to the value and the root mean square; 0 for equal integers. */
  readonly worst: number;
  /** What is wrong, in one line; absent where nothing is. */
  readonly problem?: string;
}

/** Shapes, dtypes and memory formats must be equal, integers and NaN too, and other values within the tolerance. */
export function compareTensors(got: Tensor, wanted: Tensor, tolerance = TOLERANCES[wanted.dtype]): Comparison {
  const kind = ({ dtype, shape }: Tensor): string => `${dtype} [${shape.join(', ')}]`;
  if (kind(got) !== kind(wanted)) return { worst: Number.NaN, problem: `is ${kind(got)}, not ${kind(wanted)}` };
  if (isChannelsLast(wanted) && !isChannelsLast(got)) return { worst: Number.NaN, problem: 'is not in channels_last' };
  const [own, other] = [numbersOf(got), numbersOf(wanted)];
  if (tolerance === undefined) {
    const at = other.findIndex((value, index) => value !== own[index]);
    const differing = other.filter((value, index) => value !== own[index]).length;
    if (at < 0) return { worst: 0 };
    return {
      worst: differing,
      problem: `${differing} of ${other.length} differ, the first at ${at}: ${own[at]}, not ${other[at]}`,
    };
  }
  const finite = other.filter(Number.isFinite);
  const scale = Math.sqrt(finite.reduce((sum, value) => sum + value * value, 0) / Math.max(1, finite.length));
  let worst = 0;
  for (const [index, value] of other.entries()) {
    const mine = own[index]!;
    if (Object.is(mine, value) || mine === value) continue;
    const difference = Math.abs(mine - value) / (Math.abs(value) + scale);
    if (!(difference <= tolerance))
      return {
        worst: difference,
        problem: `at ${index}: ${mine}, not ${value} (relative ${difference.toExponential(1)}, at most ${tolerance.toExponential(1)})`,
      };
    worst = Math.max(worst, difference);
  }
  return { worst };
}

function isChannelsLast(tensor: Tensor): boolean {
  return tensor.shape.length === 4 && tensor.isContiguous('channels_last') && !tensor.isContiguous();
}

function numbersOf(tensor: Tensor): number[] {
  const isShort = tensor.dtype === 'float16' || tensor.dtype === 'bfloat16';
  return (isShort ? tensor.to({ dtype: 'float32' }) : tensor).to({ device: 'cpu' }).contiguous().toNumbers();
}
