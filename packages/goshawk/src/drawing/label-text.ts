// Text on pictures in Node: a canvas of Skia with this package's font for Latin, Greek and Cyrillic, and the system's for the rest.
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canvasText, type TextRenderer } from '@goshawk/core';

// Noto Sans, in parts by script, under the SIL Open Font License 1.1 that lies with it.
const FONTS = fileURLToPath(new URL('../../fonts/', import.meta.url));
const FAMILY = 'Goshawk Noto Sans';

let made: TextRenderer | undefined;

/** Names and scores for `drawDetections` and `DetectionPainter`. The canvas is loaded when the first line is drawn. */
export const labelText: TextRenderer = {
  width: (text, sizePx) => renderer().width(text, sizePx),
  line: (text, sizePx) => renderer().line(text, sizePx),
};

// A letter that no font has: it is drawn as all of them are.
const UNKNOWN = '\u{10fffd}';

/** Those of some names that have letters of which no font here knows more than a frame. */
export function unreadableNames(names: readonly string[]): string[] {
  const shapeOf = (letter: string): string => labelText.line(letter, 20).coverage.join();
  const frame = shapeOf(UNKNOWN);
  // This package's own font has these: most names need no look.
  const isOwn = (name: string): boolean => /^[\u0020-\u024f\u0370-\u052f]*$/.test(name);
  return names.filter((name) => !isOwn(name) && [...name].some((letter) => shapeOf(letter) === frame));
}

/** A line about names that would show as frames; undefined where all can be read. */
export function unreadableNotice(names: readonly string[]): string | undefined {
  const [first, ...others] = unreadableNames(names);
  if (first === undefined) return undefined;
  const more = others.length === 0 ? '' : ` and of ${others.length} more names`;
  return `no font here has all letters of '${first}'${more}, which are drawn as frames: install one (Debian: fonts-noto-cjk for Chinese, Japanese and Korean)`;
}

function renderer(): TextRenderer {
  made ??= open();
  return made;
}

function open(): TextRenderer {
  const { createCanvas, GlobalFonts } = createRequire(import.meta.url)(
    '@napi-rs/canvas',
  ) as typeof import('@napi-rs/canvas');
  for (const name of readdirSync(FONTS))
    if (name.endsWith('.woff2')) GlobalFonts.registerFromPath(join(FONTS, name), FAMILY);
  return canvasText({
    contextOf: (width, height) => createCanvas(width, height).getContext('2d'),
    family: `"${FAMILY}", sans-serif`,
  });
}
