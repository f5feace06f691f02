// Names with letters that no font here has.
import { nodeCanvas } from './node-canvas.js';

// A letter that no font has: it is drawn as all of them are.
const UNKNOWN = '\u{10fffd}';
const SIDE = 32;

/** Those of some names that have letters of which no font here knows more than a frame. */
export function unreadableNames(names: readonly string[]): string[] {
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

function shapeOf(letter: string): string {
  const context = nodeCanvas.context(SIDE, SIDE);
  context.font = `20px ${nodeCanvas.font.family}`;
  context.textBaseline = 'alphabetic';
  context.fillText(letter, 2, 24);
  return context.getImageData(0, 0, SIDE, SIDE).data.join();
}
