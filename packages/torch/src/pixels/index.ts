// The addon for pictures (native/pixels/): what @goshawk/core does to pixels in TypeScript, in the compiler's vectors, with the same
// values to the last bit. It needs no engine: loading it takes a millisecond, in each of a loader's threads.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pixelAddonPath } from './addon-path.js';

/** Red, green, blue, `height * width * 3` bytes without gaps. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

type Triple = readonly [number, number, number];

/** As @goshawk/core's `NormalisedResize`: what one picture becomes in a network's memory. */
export interface PixelResize {
  readonly kernel: 'torch' | 'opencv' | 'pil';
  readonly width: number;
  readonly height: number;
  /** Picture pixels from one network pixel to the next; for the kernel torch alone. */
  readonly stepX: number;
  readonly stepY: number;
  readonly window: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  readonly gain: Triple;
  readonly bias: Triple;
  /** Of each channel of the network the picture's: 0, 1, 2 or 2, 1, 0. */
  readonly source: Triple;
  readonly into: { readonly data: Float32Array; readonly offset: number; readonly rowStride: number };
}

/** Functions of the same names as @goshawk/core's. What they write to has the size of the result; they throw RangeError otherwise. */
export interface PixelAddon {
  resizeInto(picture: Pixels, resize: PixelResize): void;
  resizeBytes(picture: Pixels, kernel: 'opencv' | 'pil', result: Pixels): void;
  /** @param inverse 3 x 3, from the result to the picture; no side may exceed {@link mostWarpSide} */
  warp(picture: Pixels, inverse: readonly number[], fill: Triple, result: Pixels): void;
  scaleHsv(picture: Pixels, gains: Triple, into: Uint8Array): void;
  changeColor(
    picture: Pixels,
    change: 'brightness' | 'contrast' | 'saturation',
    factor: number,
    into: Uint8Array,
  ): void;
  /** `into` may not be the picture's memory. */
  blur(picture: Pixels, filter: 'gaussian' | 'box' | 'median', side: 3 | 5, into: Uint8Array): void;
  /** @param quantiles 65536 of the normal distribution, in order */
  addNoise(picture: Pixels, sigma: number, seed: number, quantiles: Float32Array, into: Uint8Array): void;
  blend(first: Uint8Array, second: Uint8Array, share: number, into: Uint8Array): void;
  /** In its own memory. */
  mirrorRows(picture: Pixels): void;
  /** What is wrong with a JPEG's compressed data, in words. */
  jpegDamage(bytes: Uint8Array): string | undefined;
  /** Begins to load a library in a thread of the system's; does nothing where one was begun before. */
  openLibrary(path: string): void;
  /** Returns when the library that was begun is loaded. */
  awaitLibrary(): void;
}

/** Places of a warp are in 1/65536 of a pixel, in 32 bits. */
export const mostWarpSide = 32767;

interface Native {
  resizeInto(picture: Uint8Array, numbers: Float64Array, into: Float32Array): void;
  resizeBytes(picture: Uint8Array, numbers: Float64Array, into: Uint8Array): void;
  warp(picture: Uint8Array, numbers: Float64Array, into: Uint8Array): void;
  changeColors(picture: Uint8Array, numbers: Float64Array, into: Uint8Array): void;
  addNoise(picture: Uint8Array, numbers: Float64Array, into: Uint8Array, quantiles: Float32Array): void;
  blend(first: Uint8Array, share: Float64Array, second: Uint8Array, into: Uint8Array): void;
  mirrorRows(picture: Uint8Array, numbers: Float64Array): void;
  jpegDamage(bytes: Uint8Array): string | undefined;
  openLibrary(path: Uint8Array): void;
  awaitLibrary(): void;
}

// In the order of addon.cc.
const resizeKinds = { torch: 0, opencv: 1, pil: 2 } as const;
const colorKinds = { hsv: 0, brightness: 1, contrast: 2, saturation: 3, gaussian: 4, box: 5, median: 6 } as const;

let loaded: PixelAddon | undefined;

/** The addon; undefined before it has been built, by `goshawk setup`. */
export function pixelAddon(): PixelAddon | undefined {
  if (loaded === undefined && existsSync(pixelAddonPath))
    loaded = typed(createRequire(import.meta.url)(pixelAddonPath) as Native);
  return loaded;
}

function typed(native: Native): PixelAddon {
  const changeColors = (
    { data, width, height }: Pixels,
    kind: keyof typeof colorKinds,
    [a, b, c]: Triple,
    into: Uint8Array,
  ): void => native.changeColors(data, Float64Array.of(width, height, colorKinds[kind], a, b, c), into);
  return {
    resizeInto({ data, width, height }, { kernel, window, gain, bias, source, into, ...size }) {
      const numbers = Float64Array.of(
        ...[width, height, resizeKinds[kernel], size.width, size.height, size.stepX, size.stepY],
        ...[window.x, window.y, window.width, window.height],
        ...gain,
        ...bias,
        ...[source[0] === 2 ? 1 : 0, into.offset, into.rowStride],
      );
      native.resizeInto(data, numbers, into.data);
    },
    resizeBytes({ data, width, height }, kernel, result) {
      const numbers = Float64Array.of(width, height, resizeKinds[kernel], result.width, result.height);
      native.resizeBytes(data, numbers, result.data);
    },
    warp({ data, width, height }, inverse, fill, result) {
      native.warp(data, Float64Array.of(width, height, result.width, result.height, ...inverse, ...fill), result.data);
    },
    scaleHsv: (picture, gains, into) => changeColors(picture, 'hsv', gains, into),
    changeColor: (picture, change, factor, into) => changeColors(picture, change, [factor, 0, 0], into),
    blur: (picture, filter, side, into) => changeColors(picture, filter, [side, 0, 0], into),
    addNoise({ data, width, height }, sigma, seed, quantiles, into) {
      native.addNoise(data, Float64Array.of(width, height, sigma, seed), into, quantiles);
    },
    blend: (first, second, share, into) => native.blend(first, Float64Array.of(share), second, into),
    mirrorRows: ({ data, width, height }) => native.mirrorRows(data, Float64Array.of(width, height)),
    jpegDamage: (bytes) => native.jpegDamage(bytes),
    openLibrary: (path) => native.openLibrary(new TextEncoder().encode(`${path}\0`)),
    awaitLibrary: () => native.awaitLibrary(),
  };
}
