// Stable orderings of numbered things by a key held in a typed array, in linear time: the evaluation sorts every
// detection three times, and ties must keep their order.

/** The given items ordered by `keys[item]`, whole numbers from 0 to `keyCount - 1`; ties stay as they were. */
export function orderByKey(items: Uint32Array, keys: Int32Array, keyCount: number): Uint32Array {
  const place = new Uint32Array(keyCount + 1);
  for (let i = 0; i < items.length; i++) place[keys[items[i]!]! + 1]!++;
  for (let key = 0; key < keyCount; key++) place[key + 1]! += place[key]!;
  const ordered = new Uint32Array(items.length);
  for (let i = 0; i < items.length; i++) {
    const item = items[i]!;
    const key = keys[item]!;
    ordered[place[key]!] = item;
    place[key]!++;
  }
  return ordered;
}

/** The given items ordered by `values[item]`, largest first; ties (0 and -0 too) stay as they were. No value is NaN. */
export function orderDescending(items: Uint32Array, values: Float64Array): Uint32Array {
  // Doubles compare as their 64 bits do once the sign is folded in; inverted for largest first.
  const bits = new Uint32Array(2 * values.length);
  const normalised = new Float64Array(bits.buffer);
  for (let i = 0; i < values.length; i++) {
    normalised[i] = values[i]! + 0;
    const high = bits[2 * i + 1]!;
    if (high < 0x80000000) {
      bits[2 * i] = ~bits[2 * i]!;
      bits[2 * i + 1] = ~high & 0x7fffffff;
    }
  }
  let from: Uint32Array = items;
  let to: Uint32Array = new Uint32Array(items.length);
  const place = new Uint32Array(257);
  for (let digit = 0; digit < 8; digit++) {
    const word = digit >> 2;
    const shift = (digit & 3) * 8;
    place.fill(0);
    for (let i = 0; i < from.length; i++) place[((bits[2 * from[i]! + word]! >>> shift) & 255) + 1]!++;
    if (place.includes(from.length)) continue;
    for (let key = 0; key < 256; key++) place[key + 1]! += place[key]!;
    for (let i = 0; i < from.length; i++) {
      const item = from[i]!;
      const key = (bits[2 * item + word]! >>> shift) & 255;
      to[place[key]!] = item;
      place[key]!++;
    }
    const done = to;
    to = from === items ? new Uint32Array(items.length) : from;
    from = done;
  }
  return from;
}

/** 0, 1, ..., count - 1. */
export function numbered(count: number): Uint32Array {
  const items = new Uint32Array(count);
  for (let i = 0; i < count; i++) items[i] = i;
  return items;
}
