// Comparing numbers in tests.
import { AssertionError } from 'node:assert';
import { Tensor } from '../tensor/tensor.js';

export interface Tolerance {
  readonly absolute?: number;
  /** Times the expected value's size. */
  readonly relative?: number;
}

/** Some roundings of float32. */
const DEFAULT: Tolerance = { absolute: 5e-7, relative: 1e-6 };

/**
 * Two tensors, or arrays of numbers, of one shape: every element within absolute + relative * |expected|. Of a tolerance that is
 * given, what it leaves out is 0; without one, 5e-7 and 1e-6.
 * @throws AssertionError with the worst element's index and both values
 */
export function assertClose(
  actual: Tensor | readonly number[],
  expected: Tensor | readonly number[],
  { absolute = 0, relative = 0 }: Tolerance = DEFAULT,
): void {
  const shape = shapeOf(actual);
  if (
    shape.join() !== shapeOf(expected).join() &&
    !(actual instanceof Tensor && !(expected instanceof Tensor) && actual.length === expected.length)
  )
    throw new AssertionError({ message: `shapes differ: [${shape.join(', ')}] and [${shapeOf(expected).join(', ')}]` });
  const got = numbersOf(actual);
  const wanted = numbersOf(expected);
  let worst = -1;
  let worstExcess = 0;
  let count = 0;
  for (let i = 0; i < wanted.length; i++) {
    const want = wanted[i]!;
    const have = got[i] ?? Number.NaN;
    if (Object.is(have, want) || have === want) continue;
    const excess = Math.abs(have - want) - (absolute + relative * Math.abs(want));
    if (excess <= 0) continue;
    count++;
    if (worst < 0 || !(excess <= worstExcess)) {
      worst = i;
      worstExcess = excess;
    }
  }
  if (worst < 0) return;
  const where = indexOf(worst, shape).join(', ');
  throw new AssertionError({
    message: `${count} of ${wanted.length} elements differ, most at [${where}]: got ${got[worst]}, expected ${wanted[worst]}`,
  });
}

function shapeOf(value: Tensor | readonly number[]): readonly number[] {
  return value instanceof Tensor ? value.shape : [value.length];
}

function numbersOf(value: Tensor | readonly number[]): ArrayLike<number> {
  if (!(value instanceof Tensor)) return value;
  const array = value.toTypedArray();
  return array instanceof BigInt64Array ? value.toNumbers() : array;
}

function indexOf(flat: number, shape: readonly number[]): number[] {
  let rest = flat;
  return shape
    .toReversed()
    .map((side) => {
      const index = rest % side;
      rest = Math.floor(rest / side);
      return index;
    })
    .toReversed();
}
