// COCO's compressed form of run lengths: each run as the difference to the run two before it, in groups of
// five bits, lowest first, one printable character a group (format: cocodataset/cocoapi, common/maskApi.c).
import { InputError } from '../errors/input-error.js';
import { type CompressedRle, type MaskSize, maskPixels, type Rle, wrongSum } from './rle.js';

// Character = 48 + five bits + 32 where another character follows; a set bit 16 in the last one means negative.
const FIRST_CHARACTER = 48;
const MORE = 32;
const NEGATIVE = 16;
// 33 bits and a sign hold every difference of two 32-bit runs.
const MAX_CHARACTERS_PER_RUN = 7;
const CHUNK = 4096;
// Most masks have fewer runs: they are read here first, so that each mask costs one allocation.
const scratch = new Uint32Array(16384);

/** The compressed string of a mask, the same characters as pycocotools writes. */
export function rleToString(rle: Rle): string {
  const { counts } = rle;
  let text = '';
  let codes: number[] = [];
  for (let i = 0; i < counts.length; i++) {
    let value = i > 2 ? counts[i]! - counts[i - 2]! : counts[i]!;
    for (;;) {
      const bits = value & 31;
      value = Math.floor(value / 32);
      const done = value === ((bits & NEGATIVE) !== 0 ? -1 : 0);
      codes.push(FIRST_CHARACTER + bits + (done ? 0 : MORE));
      if (done) break;
    }
    if (codes.length > CHUNK) {
      text += String.fromCharCode(...codes);
      codes = [];
    }
  }
  return text + String.fromCharCode(...codes);
}

/**
 * Reads a compressed string.
 * @throws InputError where a character is not of the format, the text ends within a run, a run is negative or longer
 * than the mask, or the runs do not sum to height * width. Memory stays within the length of the text.
 */
export function rleFromString(text: string, size: MaskSize): Rle {
  const pixels = maskPixels(size);
  const counts = text.length <= scratch.length ? scratch : new Uint32Array(text.length);
  let runs = 0;
  let sum = 0;
  let at = 0;
  while (at < text.length) {
    const only = text.charCodeAt(at) - FIRST_CHARACTER;
    let value: number;
    if (only >= 0 && only < MORE) {
      // Nearly all differences take one character.
      value = only < NEGATIVE ? only : only - MORE;
      at++;
    } else {
      const start = at;
      let unit = 1;
      let group = MORE;
      for (value = 0; (group & MORE) !== 0; at++) {
        group = text.charCodeAt(at) - FIRST_CHARACTER;
        if (!(group >= 0 && group < 64) || at - start >= MAX_CHARACTERS_PER_RUN) throw badCharacter(text, at);
        value += (group & 31) * unit;
        unit *= 32;
      }
      if ((group & NEGATIVE) !== 0) value -= unit;
    }
    if (runs > 2) value += counts[runs - 2]!;
    if (value < 0 || value > pixels) {
      throw new InputError(
        'annotation-invalid',
        `mask: run ${runs} of the compressed counts must be 0 to ${pixels} (${size[0]} x ${size[1]}), got ${value}: encode the mask again`,
      );
    }
    counts[runs++] = value;
    sum += value;
  }
  if (sum !== pixels) throw wrongSum(sum, size);
  return { size: [size[0], size[1]], counts: counts.slice(0, runs) };
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
