// Pictures of any common kind to RGB bytes, by content and not by name. JPEGs come out bit for bit as in PIL and OpenCV, whose
// pixels the published checkpoints have seen; hence embedded colour profiles are ignored, as they ignore them.
import { InputError, type RgbImage } from '@goshawk/core';
import { pixelAddon } from '@goshawk/torch/pixels';
import sharp, { type Metadata } from 'sharp';
import { readInputFile } from '../files/read-file.js';
import { sniffImageFormat } from './image-format.js';
import { jpegDamage } from './jpeg-damage.js';
import { jpegFrame } from './jpeg-frame.js';

// Before set-up has built the addon, commands that need no engine decode pictures too.
const damageOf = pixelAddon()?.jpegDamage ?? jpegDamage;

// One picture is decoded by one thread: the loader's workers and the engine share the processor. libvips's cache of
// operations would only grow.
sharp.cache(false);
sharp.concurrency(1);

export interface DecodeOptions {
  /** apply: the picture as shown, turned as its EXIF orientation says. ignore: as stored. Default apply. */
  readonly exifOrientation?: 'apply' | 'ignore';
  /** Largest width * height, checked on the header before memory is taken. Default 200 million. */
  readonly pixelLimit?: number;
}

export interface ImageHeader {
  /** Pixels, turned as `exifOrientation` asks. */
  readonly width: number;
  readonly height: number;
  /** EXIF orientation 1..8; 5 to 8 exchange width and height. */
  readonly orientation: number;
}

export const defaultPixelLimit = 200e6;
/** A picture file above this is refused unread. */
export const largestFile = 1e9;

/**
 * Decodes a file. See {@link decodeImage}.
 * @throws InputError also where the file cannot be read
 */
export async function decodeImageFile(path: string, options: DecodeOptions = {}): Promise<RgbImage> {
  return decodeImage(await readInputFile(path, path, largestFile), path, options);
}

/** Size and orientation from the header of a file, without decoding it. Throws as {@link decodeImage} does. */
export async function readImageHeader(path: string, options: DecodeOptions = {}): Promise<ImageHeader> {
  // libvips reads no more of a file than its header needs.
  const quick = await sharp(path, { failOn: 'error', limitInputPixels: false })
    .metadata()
    .catch(() => undefined);
  if (quick !== undefined && headerFormats.has(quick.format)) {
    requireDecodable(quick, path, options);
    return shownSize(quick, options);
  }
  const bytes = await readInputFile(path, path, largestFile);
  return shownSize(await readMetadata(bytes, path, options), options);
}

/** The same of a file's bytes. */
export async function imageHeaderOf(
  bytes: Uint8Array,
  shownName: string,
  options: DecodeOptions = {},
): Promise<ImageHeader> {
  return shownSize(await readMetadata(bytes, shownName, options), options);
}

/** Formats that need no second look at their first bytes. */
const headerFormats: ReadonlySet<string> = new Set(['jpeg', 'png', 'webp', 'gif', 'tiff']);

/**
 * JPEG (baseline, progressive, grey, CMYK), PNG (1 to 16 bit, palette), WebP, GIF (first frame), TIFF or AVIF to RGB uint8.
 * Grey becomes three equal channels, 16 bits are scaled to 8, an alpha channel is dropped and the colours below it kept
 * (as PIL's convert('RGB')), CMYK becomes (255 - C)(255 - K) / 255 and so on, as in PIL.
 * @param shownName the file's name in errors
 * @throws InputError `image-invalid` naming the file: not a picture, damaged, cut short, or beyond the pixel limit
 */
export async function decodeImage(
  bytes: Uint8Array,
  shownName: string,
  options: DecodeOptions = {},
): Promise<RgbImage> {
  const header = commonHeader(bytes, shownName, options) ?? (await readMetadata(bytes, shownName, options));
  const damage = header.format === 'jpeg' ? damageOf(bytes) : undefined;
  if (damage !== undefined) throw imageError(shownName, `is a damaged jpeg picture (${damage})`, undefined);
  try {
    return await decodePixels(bytes, header, options, header.format === 'jpeg' ? 'warning' : 'error');
  } catch (error) {
    const reason = reasonOf(error);
    if (header.format === 'jpeg' && isHarmless(reason)) {
      try {
        return await decodePixels(bytes, header, options, 'error');
      } catch (second) {
        throw imageError(shownName, `is a damaged jpeg picture (${reasonOf(second)})`, second);
      }
    }
    throw imageError(shownName, `is a damaged ${header.format} picture (${reason})`, error);
  }
}

/** `error` stops at a file that is cut short, `warning` also at all that libjpeg remarks. */
async function decodePixels(
  bytes: Uint8Array,
  header: PictureHeader,
  options: DecodeOptions,
  failOn: 'error' | 'warning',
): Promise<RgbImage> {
  const isCmyk = header.space === 'cmyk';
  let pipeline = sharp(bytes, { failOn, ignoreIcc: true, limitInputPixels: false, sequentialRead: true });
  if (options.exifOrientation !== 'ignore') pipeline = pipeline.autoOrient();
  pipeline = isCmyk
    ? pipeline.pipelineColourspace('cmyk').toColourspace('cmyk')
    : pipeline.removeAlpha().toColourspace('srgb');
  const { data, info } = await pipeline.raw().toBuffer({ resolveWithObject: true });
  // A plain view: Buffer's slice() would not copy.
  const pixels = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const { width, height, channels } = info;
  if (channels !== (isCmyk ? 4 : 3)) throw new Error(`internal: ${channels} channels`);
  return { data: isCmyk ? cmykToRgb(pixels) : pixels, width, height };
}

/** Whether a decoder's remark is about an oddity (stray bytes, versions, application markers) and not about lost pixels. */
function isHarmless(reason: string): boolean {
  const stray = /(\d+) extraneous bytes/.exec(reason);
  if (stray) return Number(stray[1]) <= 64;
  return !/premature end|bad Huffman|bad arithmetic|found marker|out of order/i.test(reason);
}

/** What decoding asks of a header. */
type PictureHeader = Pick<Metadata, 'width' | 'height' | 'depth' | 'format' | 'space'>;

/** That of a photo as cameras write them, without a decoder. */
function commonHeader(bytes: Uint8Array, shownName: string, options: DecodeOptions): PictureHeader | undefined {
  const frame = jpegFrame(bytes);
  if (frame === undefined) return undefined;
  const { width, height, components } = frame;
  const header: PictureHeader = {
    format: 'jpeg',
    depth: 'uchar',
    space: components === 1 ? 'b-w' : 'srgb',
    width,
    height,
  };
  requireDecodable(header, shownName, options);
  return header;
}

async function readMetadata(bytes: Uint8Array, shownName: string, options: DecodeOptions): Promise<Metadata> {
  const sniffed = sniffImageFormat(bytes);
  if (sniffed.format === undefined) {
    throw new InputError(
      'image-invalid',
      `${shownName}: is ${sniffed.description} (expected a picture): ${sniffed.remedy}`,
    );
  }
  let header: Metadata;
  try {
    header = await sharp(bytes, { failOn: 'error', limitInputPixels: false }).metadata();
  } catch (error) {
    throw imageError(shownName, `is a damaged ${sniffed.format} picture (${reasonOf(error)})`, error);
  }
  requireDecodable(header, shownName, options);
  return header;
}

// What libvips calls unsigned samples of 8 and 16 bits; it would cut the others off at 0 and 255.
const sampleKinds: ReadonlySet<string> = new Set(['uchar', 'ushort']);

/** @throws InputError for what a header alone tells to be beyond us */
function requireDecodable(header: PictureHeader, shownName: string, options: DecodeOptions): void {
  if (!sampleKinds.has(header.depth))
    throw new InputError(
      'image-invalid',
      `${shownName}: has samples of type ${header.depth} (expected unsigned integers of 8 or 16 bits): ` +
        'convert it to 8 or 16 bits, scaled as you want it seen',
    );
  const pixelLimit = options.pixelLimit ?? defaultPixelLimit;
  if (header.width * header.height > pixelLimit) {
    throw new InputError(
      'image-invalid',
      `${shownName}: declares ${header.width} x ${header.height} pixels (expected at most ${pixelLimit / 1e6} million): ` +
        'shrink the picture',
    );
  }
}

function shownSize(header: Metadata, options: DecodeOptions): ImageHeader {
  const orientation = header.orientation ?? 1;
  const isTurned = orientation >= 5 && options.exifOrientation !== 'ignore';
  return isTurned
    ? { width: header.height, height: header.width, orientation }
    : { width: header.width, height: header.height, orientation };
}

/** PIL's conversion (libImaging/Convert.c, cmyk2rgb): (255 - K) minus its product with the ink. */
function cmykToRgb(cmyk: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((cmyk.length / 4) * 3);
  for (let i = 0, o = 0; i < cmyk.length; i += 4, o += 3) {
    const white = 255 - cmyk[i + 3]!;
    for (let c = 0; c < 3; c++) {
      const product = cmyk[i + c]! * white + 128;
      rgb[o + c] = white - ((product + (product >> 8)) >> 8);
    }
  }
  return rgb;
}

function imageError(shownName: string, problem: string, cause: unknown): InputError {
  return new InputError('image-invalid', `${shownName}: ${problem}: replace the file`, { cause });
}

/** The decoder's complaint on one line. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const lines = message.split('\n').filter((line) => line.trim() !== '');
  return (lines[0] ?? 'no reason given').trim().slice(0, 120);
}
