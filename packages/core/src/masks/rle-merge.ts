// Union and intersection of masks on their run lengths, without decoding them.
import { InputError } from '../errors/input-error.js';
import type { Rle } from './rle.js';

/**
 * Union or intersection of one or more masks of one size. A single mask comes back as it is.
 * @throws InputError where there is no mask or the sizes differ.
 */
export function mergeRles(masks: readonly Rle[], operation: 'union' | 'intersection'): Rle {
  const first = masks[0];
  if (first === undefined) {
    throw new InputError(
      'annotation-invalid',
      'mergeRles: needs at least one mask, got none: skip objects without masks',
    );
  }
  let merged = first;
  for (let i = 1; i < masks.length; i++) {
    const next = masks[i]!;
    if (next.size[0] !== first.size[0] || next.size[1] !== first.size[1]) {
      throw new InputError(
        'annotation-invalid',
        `mergeRles: masks must have one size, got ${first.size.join(' x ')} and ${next.size.join(' x ')}: encode both for the same image`,
      );
    }
    merged = { size: first.size, counts: mergeTwo(merged.counts, next.counts, operation === 'intersection' ? 2 : 1) };
  }
  return merged;
}

// A pixel is in the result where at least `needed` of the two masks have it.
function mergeTwo(a: Uint32Array, b: Uint32Array, needed: 1 | 2): Uint32Array {
  const out = new Uint32Array(a.length + b.length);
  let runs = 0;
  let indexA = 0;
  let indexB = 0;
  let endA = a[0] ?? 0;
  let endB = b[0] ?? 0;
  let at = 0;
  let runStart = 0;
  let inside = false;
  while (indexA < a.length && indexB < b.length) {
    const from = Math.min(endA, endB);
    const isInside = (indexA & 1) + (indexB & 1) >= needed;
    if (isInside !== inside) {
      out[runs++] = at - runStart;
      runStart = at;
      inside = isInside;
    }
    at = from;
    // Both steps read the same `from`, so runs of length zero advance one at a time and keep their order.
    if (endA === from) endA += a[++indexA] ?? 0;
    if (endB === from) endB += b[++indexB] ?? 0;
  }
  out[runs++] = at - runStart;
  return out.slice(0, runs);
}
