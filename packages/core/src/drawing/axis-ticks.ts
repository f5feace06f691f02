// Round numbers along an axis.

export interface Tick {
  readonly value: number;
  readonly label: string;
}

/** Steps of 1, 2 or 5 times a power of ten from `from` to `to`, at most `most` + 1 of them. */
export function linearTicks(from: number, to: number, most: number): Tick[] {
  const span = to - from;
  if (!(span > 0) || !Number.isFinite(span) || most < 1) return [tickAt(from, 0)];
  const least = span / most;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= least * (1 - 1e-9))!;
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => tickAt((first + i) * step, decimals));
}

/** Powers of ten between `from` and `to`, both above 0, with 2 and 5 times them where there are few. */
export function logarithmicTicks(from: number, to: number): Tick[] {
  const first = Math.floor(Math.log10(from) + 1e-9);
  const last = Math.ceil(Math.log10(to) - 1e-9);
  const factors = last - first <= 3 ? [1, 2, 5] : [1];
  const powers = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  return powers
    .flatMap((power) => factors.map((factor) => tickAt(factor * 10 ** power, Math.max(0, -power))))
    .filter(({ value }) => value >= from * (1 - 1e-9) && value <= to * (1 + 1e-9));
}

/** Large numbers are told in thousands and millions. */
function tickAt(value: number, decimals: number): Tick {
  const size = Math.abs(value);
  if (size >= 1e6) return { value, label: `${trimmed(value / 1e6)}M` };
  if (size >= 1e4) return { value, label: `${trimmed(value / 1e3)}k` };
  if (size > 0 && size < 1e-4) return { value, label: value.toExponential(0) };
  return { value, label: value.toFixed(decimals) };
}

function trimmed(value: number): string {
  return String(Number(value.toPrecision(4)));
}
