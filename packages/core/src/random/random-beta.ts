// Numbers of the beta distribution.
import type { Random } from './random.js';

/** A number of Beta(alpha, alpha), 0..1: for large alpha near to one half, for small ones near to 0 or 1. */
export function randomBeta(alpha: number, random: Random): number {
  const first = randomGamma(alpha, random);
  const second = randomGamma(alpha, random);
  // Both can vanish for tiny alphas, where the limit is a coin.
  if (first + second === 0) return random.integer(2);
  return first / (first + second);
}

/** Marsaglia and Tsang, "A simple method for generating gamma variables", 2000. */
function randomGamma(shape: number, random: Random): number {
  if (shape < 1) return randomGamma(shape + 1, random) * (1 - random.uniform()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = randomNormal(random);
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** Box and Muller, 1958; of the two numbers one is given. */
function randomNormal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
}
