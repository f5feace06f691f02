// The canvas of Node: Skia's, with this package's font for Latin, Greek and Cyrillic, and the system's fonts for the rest.
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DrawingCanvas } from '@goshawk/core';
import type { Canvas } from '@napi-rs/canvas';

// Noto Sans, in parts by script, under the SIL Open Font License 1.1 that lies with it.
const FONTS = fileURLToPath(new URL('../../fonts/', import.meta.url));
const FAMILY = 'Goshawk Noto Sans';

type Library = typeof import('@napi-rs/canvas');

let opened: Library | undefined;

/** What draws for `drawDetections` and `DetectionPainter`. The library is loaded for the first canvas. */
export const nodeCanvas = {
  context: (width, height) => newCanvas(width, height).getContext('2d'),
  font: { family: `"${FAMILY}", sans-serif`, weight: 600 },
} as const satisfies DrawingCanvas;

/** The library's own canvas, for what needs more of it than a context. */
export function newCanvas(width: number, height: number): Canvas {
  opened ??= open();
  return opened.createCanvas(width, height);
}

function open(): Library {
  const library = createRequire(import.meta.url)('@napi-rs/canvas') as Library;
  for (const name of readdirSync(FONTS))
    if (name.endsWith('.woff2')) library.GlobalFonts.registerFromPath(join(FONTS, name), FAMILY);
  return library;
}
