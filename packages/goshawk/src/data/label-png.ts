// PNGs that hold numbers instead of colours: one grey channel of 8 or 16 bits, as label pictures are
// (https://www.w3.org/TR/png/). Decoded here because data sets are opened without waiting, and colours play no part.
import { inflateSync } from 'node:zlib';
import { InputError } from '@goshawk/core';

export interface LabelPicture {
  readonly width: number;
  readonly height: number;
  /** height * width numbers, row by row. */
  readonly values: Uint16Array;
}

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const pixelLimit = 2 ** 26;

/** @throws InputError naming the file, where it is no such PNG, damaged or too large */
export function decodeLabelPng(bytes: Uint8Array, shownName: string): LabelPicture {
  const refuse = (problem: string, cause?: unknown): InputError =>
    new InputError(
      'image-invalid',
      `${shownName}: ${problem}: get a complete copy of the original label picture`,
      cause === undefined ? undefined : { cause },
    );
  if (bytes.length < 33 || signature.some((byte, i) => bytes[i] !== byte)) throw refuse('is not a PNG');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height] = [view.getUint32(16), view.getUint32(20)];
  const [depth, colour, interlace] = [bytes[24], bytes[25], bytes[28]];
  if ((depth !== 8 && depth !== 16) || colour !== 0 || interlace !== 0) {
    throw refuse(
      `is a PNG of colour type ${colour}, ${depth} bits${interlace ? ', interlaced' : ''} (expected grey of 8 or 16 bits)`,
    );
  }
  if (width === 0 || height === 0 || width * height > pixelLimit) {
    throw refuse(`is ${width} x ${height} (expected at most ${pixelLimit} pixels)`);
  }
  const parts: Uint8Array[] = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    if (at + 12 + length > bytes.length) break;
    if (view.getUint32(at + 4) === 0x49444154) parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  const pixelBytes = depth / 8;
  const rowBytes = width * pixelBytes;
  let raw: Uint8Array;
  try {
    raw = inflateSync(Buffer.concat(parts), { maxOutputLength: height * (rowBytes + 1) });
  } catch (error) {
    throw refuse('is damaged or cut short', error);
  }
  if (raw.length !== height * (rowBytes + 1)) throw refuse('is cut short');
  const values = new Uint16Array(width * height);
  let above: Uint8Array = new Uint8Array(rowBytes);
  for (let y = 0; y < height; y++) {
    const start = y * (rowBytes + 1);
    const row = raw.subarray(start + 1, start + 1 + rowBytes);
    const filter = raw[start]!;
    if (filter > 4) throw refuse('is damaged');
    unfilter(row, above, filter, pixelBytes);
    for (let x = 0; x < width; x++) {
      values[y * width + x] = pixelBytes === 1 ? row[x]! : (row[2 * x]! << 8) | row[2 * x + 1]!;
    }
    above = row;
  }
  return { width, height, values };
}

/** Undoes a row's prediction in place: none, left, above, their mean, or Paeth's choice. */
function unfilter(row: Uint8Array, above: Uint8Array, filter: number, pixelBytes: number): void {
  if (filter === 0) return;
  for (let i = 0; i < row.length; i++) {
    const left = i < pixelBytes ? 0 : row[i - pixelBytes]!;
    const up = above[i]!;
    let predicted: number;
    if (filter === 1) predicted = left;
    else if (filter === 2) predicted = up;
    else if (filter === 3) predicted = (left + up) >> 1;
    else predicted = paeth(left, up, i < pixelBytes ? 0 : above[i - pixelBytes]!);
    row[i] = row[i]! + predicted;
  }
}

function paeth(left: number, up: number, corner: number): number {
  const estimate = left + up - corner;
  const toLeft = Math.abs(estimate - left);
  const toUp = Math.abs(estimate - up);
  const toCorner = Math.abs(estimate - corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}
