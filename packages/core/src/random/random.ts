// Seeded pseudo-random numbers: xoshiro128** 1.1 (Blackman and Vigna, "Scrambled linear pseudorandom number
// generators", 2018), its state filled by splitmix32 steps from a seed and any number of stream numbers.

/** The four 32-bit words of a generator, as plain JSON. */
export type RandomState = readonly [number, number, number, number];

/** A generator of uniform numbers. Equal seeds and streams give equal sequences on every machine. */
export interface Random {
  /** The next integer in 0..2^32-1. */
  uint32(): number;
  /** The next number in [0, 1), in steps of 2^-32. */
  uniform(): number;
  /** The next integer in 0..bound-1, every one equally likely. `bound` in 1..2^32. */
  integer(bound: number): number;
  /** What {@link restoreRandom} needs to continue from here. */
  state(): RandomState;
}

/**
 * A generator for `seed` and a path of stream numbers: `createRandom(7, epoch, 3)` is independent of
 * `createRandom(7, epoch, 4)`. Numbers may be any safe integers; all of their bits count.
 */
export function createRandom(seed: number, ...stream: readonly number[]): Random {
  let hash = 0x9e3779b9;
  for (const number of [seed, ...stream]) {
    // Two words a number, so that seeds above 2^32 differ from their remainders.
    hash = mix(hash ^ mix(number >>> 0));
    hash = mix((hash + 0x9e3779b9) ^ Math.floor(number / 0x100000000));
  }
  const words: [number, number, number, number] = [0, 0, 0, 0];
  for (let i = 0; i < 4; i++) {
    hash = (hash + 0x9e3779b9) >>> 0;
    words[i] = mix(hash);
  }
  return restoreRandom(words);
}

/** The generator that continues from `state`. */
export function restoreRandom(state: RandomState): Random {
  let [a, b, c, d] = state;
  // All zero is the one state that xoshiro never leaves.
  if ((a | b | c | d) === 0) d = 1;

  function uint32(): number {
    const times5 = Math.imul(b, 5);
    const result = Math.imul((times5 << 7) | (times5 >>> 25), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = (d << 11) | (d >>> 21);
    return result;
  }

  return {
    uint32,
    uniform: () => uint32() / 0x100000000,
    integer(bound) {
      // Values at or above the last whole multiple of `bound` are drawn again: no bias.
      const limit = 0x100000000 - (0x100000000 % bound);
      for (;;) {
        const value = uint32();
        if (value < limit) return value % bound;
      }
    },
    state: () => [a >>> 0, b >>> 0, c >>> 0, d >>> 0],
  };
}

/** 0..count-1 in random order (Fisher and Yates). */
export function randomPermutation(count: number, random: Random): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    const kept = order[i]!;
    order[i] = order[j]!;
    order[j] = kept;
  }
  return order;
}

/** The finaliser of MurmurHash3 with the constants of splitmix32: every input bit reaches every output bit. */
function mix(word: number): number {
  let z = word | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}
