// float32 as IEEE 754 binary16, to the nearest, an exact half to the even neighbour.

// The largest half; what is beyond the middle between it and the next power becomes infinite.
const LARGEST = 65504;
const FIRST_INFINITE = 65520;
const SMALLEST_NORMAL = 2 ** -14;
const SUBNORMAL_STEP = 2 ** -24;

// A constant of a few numbers is an anchor or a limit, one of a single axis a bias or a norm: halving those saves nothing and moves all
// that is behind them.
const FEWEST_HALVED = 1024;

// Rounding a layer moves what a detector gives by about as much whether it is small or large, and more in the first stages, whose layers
// are small (docs/export.md has figures): of the smallest, so many together stay as they are.
const SHARE_IN_FULL = 0.07;

/** The numbers from which on a weight is halved, of a model with weights of these shapes. */
export function fewestHalved(shapes: Iterable<readonly number[]>): number {
  const counts = [...shapes]
    .filter((shape) => shape.length > 1)
    .map(countOf)
    .sort((a, b) => a - b);
  let left = SHARE_IN_FULL * counts.reduce((sum, count) => sum + count, 0);
  const first = counts.find((count) => {
    left -= count;
    return left < 0;
  });
  return Math.max(FEWEST_HALVED, first ?? 0);
}

/** Whether a file of halves stores a constant of this shape so. */
export function isHalved(shape: readonly number[], fewest: number): boolean {
  return shape.length > 1 && countOf(shape) >= fewest;
}

function countOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

export function toHalves(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, halfBits);
}

function halfBits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(size)) return 0x7e00;
  if (size >= FIRST_INFINITE) return sign | 0x7c00;
  if (size < SMALLEST_NORMAL) return sign | roundToEven(size / SUBNORMAL_STEP);
  const exponent = Math.floor(Math.log2(Math.min(size, LARGEST)));
  // A logarithm near a power of two may come out on its other side.
  const power = size < 2 ** exponent ? exponent - 1 : size >= 2 ** (exponent + 1) ? exponent + 1 : exponent;
  // A fraction that rounds up to 1024 carries into the exponent, as it should.
  return sign | (((power + 15) << 10) + roundToEven((size / 2 ** power - 1) * 1024));
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest === 0.5) return floor + (floor % 2);
  return rest > 0.5 ? floor + 1 : floor;
}
