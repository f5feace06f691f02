// What the frame header of a JPEG says of the picture (ITU-T T.81, annex B.2.2): its first bytes tell it in microseconds, where
// a decoder that is asked for it takes as long as for a tenth of the pixels.

export interface JpegFrame {
  /** Pixels, as stored. */
  readonly width: number;
  readonly height: number;
  /** 1 grey, 3 colours. */
  readonly components: 1 | 3;
}

const START_OF_SCAN = 0xda;
const END_OF_IMAGE = 0xd9;
/** Huffman codes, baseline, extended and progressive. */
const COMMON_FRAMES: ReadonlySet<number> = new Set([0xc0, 0xc1, 0xc2]);
/** Where frames of other kinds begin: lossless, of several layers, arithmetic. DHT, JPG and DAC lie between them. */
const isOtherFrame = (marker: number): boolean =>
  marker > 0xc2 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);

/**
 * Undefined for all but the most common kind, which needs a closer look: no JPEG, a header that is damaged, a size that follows later,
 * other than 8 bits a sample, or inks (CMYK).
 */
export function jpegFrame(bytes: Uint8Array): JpegFrame | undefined {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  let pos = 2;
  while (pos + 9 < bytes.length) {
    if (bytes[pos] !== 0xff) return undefined;
    const marker = bytes[pos + 1]!;
    if (marker === 0xff) {
      pos++;
      continue;
    }
    if (marker === START_OF_SCAN || marker === END_OF_IMAGE || isOtherFrame(marker)) return undefined;
    const word = (at: number): number => (bytes[pos + at]! << 8) | bytes[pos + at + 1]!;
    const length = word(2);
    if (length < 2) return undefined;
    if (COMMON_FRAMES.has(marker)) {
      const [precision, height, width, components] = [bytes[pos + 4]!, word(5), word(7), bytes[pos + 9]!];
      const isCommon = precision === 8 && width > 0 && height > 0 && length === 8 + 3 * components;
      return isCommon && (components === 1 || components === 3) ? { width, height, components } : undefined;
    }
    pos += 2 + length;
  }
  return undefined;
}
