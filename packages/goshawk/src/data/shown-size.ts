// The size of a picture from its header, for formats whose annotations do not tell it.
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { InputError } from '@goshawk/core';
import { imageSize } from 'image-size';
import { fileError } from '../files/read-file.js';

// Enough for the size in the header of nearly every picture; large EXIF blocks stand before it in some.
const headBytes = 1 << 18;

/** Pixels as shown, which is what annotation tools count. @throws InputError where the file is no picture */
export function shownSize(picture: string): { width: number; height: number } {
  try {
    let size: ReturnType<typeof imageSize>;
    try {
      size = imageSize(headOf(picture));
    } catch {
      size = imageSize(readFileSync(picture));
    }
    if (!(size.width > 0 && size.height > 0)) throw new Error('no pixels');
    const isTurned = (size.orientation ?? 1) >= 5;
    return isTurned ? { width: size.height, height: size.width } : { width: size.width, height: size.height };
  } catch (error) {
    if (error instanceof Error && 'code' in error) throw fileError(error, picture);
    throw new InputError(
      'image-invalid',
      `${picture}: is no picture whose size can be read, which its annotations need: replace or remove it`,
      { cause: error },
    );
  }
}

function headOf(path: string): Uint8Array {
  const file = openSync(path, 'r');
  try {
    const head = new Uint8Array(headBytes);
    return head.subarray(0, readSync(file, head, 0, head.length, 0));
  } finally {
    closeSync(file);
  }
}
