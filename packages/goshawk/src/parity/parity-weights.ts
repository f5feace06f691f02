// The weights of a parity case: every value follows from its parameter's name and its place (see fixtures/README.md).

import { crc32 } from 'node:zlib';
import type { TensorData } from '@goshawk/torch';

/** One entry of a case's state.json. */
export interface StateEntry {
  readonly name: string;
  /** The name that the values follow from, where several names share a tensor. Default: its own. */
  readonly seed_name?: string;
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int64';
  /** Uniform between these bounds. */
  readonly rule?: { readonly lo: number; readonly hi: number };
  /** One value for all elements. */
  readonly const?: number;
}

export function makeParityState(entries: readonly StateEntry[]): Map<string, TensorData> {
  return new Map(
    entries.map((entry) => [entry.name, { dtype: entry.dtype, shape: entry.shape, data: bytesOf(entry) }]),
  );
}

function bytesOf({ name, seed_name = name, shape, dtype, rule, const: constant = 0 }: StateEntry): Uint8Array {
  const count = shape.reduce((product, side) => product * side, 1);
  if (dtype === 'int64') return new Uint8Array(new BigInt64Array(count).fill(BigInt(constant)).buffer);
  const values = new Float32Array(count);
  if (rule) fillUniform(seed_name, rule.lo, rule.hi, values);
  else values.fill(constant);
  return new Uint8Array(values.buffer);
}

/** Mixes the name's CRC-32 with the index by MurmurHash3's finaliser. */
function fillUniform(name: string, low: number, high: number, values: Float32Array): void {
  const seed = crc32(name) | 0;
  const span = high - low;
  for (let index = 0; index < values.length; index++) {
    let hash = (seed + Math.imul(index, 0x9e3779b9)) | 0;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
    values[index] = low + span * ((hash >>> 0) / 2 ** 32);
  }
}
