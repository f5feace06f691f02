// COCO's compressed form of run lengths: each run as the difference to the run two before it, in groups of
// five bits, lowest first, one printable character a group (format: cocodataset/cocoapi, common/maskApi.c).
import { InputError } from '../errors/input-error.js';
import { type CompressedRle, type MaskSize, maskPixels, type Rle, wrongSum } from './rle.js';

// Character = 48 + five bits + 32 where another character follows; a set bit 16 in the last one means negative.
const FIRST_CHARACTER = 48;
const MORE = 32;
const NEGATIVE = 16;
// 33 bits and a sign hold every difference of two 32-bit runs.
export const MAX_CHARACTERS_PER_RUN = 7;
const CHUNK = 4096;

/** The compressed string of a mask, the same characters as pycocotools writes. */
export function rleToString(rle: Rle): string {
  const { counts } = rle;
  const most = counts.length * MAX_CHARACTERS_PER_RUN;
  const groups = most <= groupScratch.length ? groupScratch : new Uint8Array(most);
  const end = encodeRuns(counts, groups, 0);
  for (let i = 0; i < end; i++) groups[i]! += FIRST_CHARACTER;
  let text = '';
  for (let at = 0; at < end; at += CHUNK)
    text += String.fromCharCode(...groups.subarray(at, Math.min(at + CHUNK, end)));
  return text;
}

/**
 * Reads a compressed string.
 * @throws InputError where a character is not of the format, the text ends within a run, a run is negative or longer
 * than the mask, or the runs do not sum to height * width. Memory stays within the length of the text.
 */
export function rleFromString(text: string, size: MaskSize): Rle {
  const pixels = maskPixels(size);
  const { length } = text;
  const isShort = length <= runScratch.length;
  const groups = isShort ? groupScratch : new Uint8Array(length);
  for (let i = 0; i < length; i++) groups[i] = Math.min(text.charCodeAt(i), 255) - FIRST_CHARACTER;
  const counts = isShort ? runScratch : new Uint32Array(length);
  const runs = decodeRuns(groups, 0, length, pixels, counts);
  if (runs < 0) throw faultOf(text, size, pixels);
  return { size: [size[0], size[1]], counts: counts.slice(0, runs) };
}

// Most masks have fewer runs: they are read here first, so that each mask costs one allocation.
const runScratch = new Uint32Array(16384);
const groupScratch = new Uint8Array(runScratch.length);

/**
 * Run lengths from their groups: the characters of the compressed form less 48.
 * @param counts has room for `to - from` of them
 * @returns how many there are, or -1 where the groups are not those of a mask of so many pixels
 */
export function decodeRuns(groups: Uint8Array, from: number, to: number, pixels: number, counts: Uint32Array): number {
  let runs = 0;
  let sum = 0;
  for (let at = from; at < to; ) {
    let group = groups[at++]!;
    // Nearly all differences take one group.
    let value = (group ^ NEGATIVE) - NEGATIVE;
    if (group >= MORE) {
      value = group & 31;
      let unit = 32;
      for (const last = at + MAX_CHARACTERS_PER_RUN - 1; group >= MORE; unit *= 32) {
        if (group >= 64 || at >= to || at >= last) return -1;
        group = groups[at++]!;
        value += (group & 31) * unit;
      }
      if ((group & NEGATIVE) !== 0) value -= unit;
    }
    if (runs > 2) value += counts[runs - 2]!;
    if (value < 0 || value > pixels) return -1;
    counts[runs++] = value;
    sum += value;
  }
  return sum === pixels ? runs : -1;
}

/** Writes the groups of the run lengths into `groups` from `at` on: at most seven a run; where they end. */
export function encodeRuns(counts: ArrayLike<number>, groups: Uint8Array, at: number): number {
  let end = at;
  for (let i = 0; i < counts.length; i++) {
    let value = i > 2 ? counts[i]! - counts[i - 2]! : counts[i]!;
    for (;;) {
      const bits = value & 31;
      value = Math.floor(value / 32);
      const isLast = value === ((bits & NEGATIVE) !== 0 ? -1 : 0);
      groups[end++] = bits + (isLast ? 0 : MORE);
      if (isLast) break;
    }
  }
  return end;
}

/** What is wrong with a text that decodeRuns refuses. */
function faultOf(text: string, size: MaskSize, pixels: number): InputError {
  const counts: number[] = [];
  let sum = 0;
  for (let at = 0; at < text.length; ) {
    const start = at;
    let value = 0;
    let unit = 1;
    let group = MORE;
    for (; (group & MORE) !== 0; at++) {
      group = text.charCodeAt(at) - FIRST_CHARACTER;
      if (!(group >= 0 && group < 64) || at - start >= MAX_CHARACTERS_PER_RUN) return badCharacter(text, at);
      value += (group & 31) * unit;
      unit *= 32;
    }
    if ((group & NEGATIVE) !== 0) value -= unit;
    if (counts.length > 2) value += counts.at(-2)!;
    if (value < 0 || value > pixels) {
      return new InputError(
        'annotation-invalid',
        `mask: run ${counts.length} of the compressed counts must be 0 to ${pixels} (${size[0]} x ${size[1]}), got ${value}: encode the mask again`,
      );
    }
    counts.push(value);
    sum += value;
  }
  return wrongSum(sum, size);
}

/** A mask as it stands in a JSON file. */
export function compressRle(rle: Rle): CompressedRle {
  return { size: rle.size, counts: rleToString(rle) };
}

/** The reverse of {@link compressRle}; throws as {@link rleFromString} does. */
export function decompressRle(mask: CompressedRle): Rle {
  return rleFromString(mask.counts, mask.size);
}

function badCharacter(text: string, at: number): InputError {
  const found = at < text.length ? `${JSON.stringify(text[at])} at ${at}` : `the end of the text at ${at}`;
  return new InputError(
    'annotation-invalid',
    `mask: compressed counts must be runs of 1 to ${MAX_CHARACTERS_PER_RUN} characters from '0' to 'o', got ${found}: encode the mask again`,
  );
}
