// Names of drawn pictures and films: those of the pictures, as PNG, and of the films, as MP4, each once and none longer than a file
// system takes.
import { createHash } from 'node:crypto';
import { basename, dirname, extname, join } from 'node:path';
import type { NamedImage } from '../infer/index.js';

/** Bytes of a name; what file systems take. */
const LONGEST_NAME = 255;
const HASH_DIGITS = 8;
/** What the names of a film's other files have more: `.detections.partial.jsonl` for `.mp4`. */
const LONGEST_ADDITION = 21;

export class DrawnNames {
  readonly #taken: Set<string>;

  /** @param reserved names that other files will have */
  constructor(reserved: readonly string[] = []) {
    this.#taken = new Set(reserved);
  }

  /**
   * A folder's a/b.jpg -> a/b.png, a file named by itself -> its last part; with -2, -3 ... behind what is taken already. A name of more
   * than 255 bytes is cut, and gets the first digits of the whole name's SHA-256 instead.
   */
  of({ path, fileName }: NamedImage, ending: '.png' | '.mp4' = '.png'): string {
    const name = path === fileName ? basename(fileName) : fileName;
    const stem = name.slice(0, name.length - extname(name).length);
    const longest = LONGEST_NAME - (ending === '.mp4' ? LONGEST_ADDITION : 0);
    let drawn = shortened(stem, ending, longest);
    for (let number = 2; this.#taken.has(drawn); number++) drawn = shortened(`${stem}-${number}`, ending, longest);
    this.#taken.add(drawn);
    return drawn;
  }
}

function shortened(stem: string, suffix: string, longest: number): string {
  const name = `${stem}${suffix}`;
  const last = basename(name);
  if (Buffer.byteLength(last) <= longest) return name;
  const ending = `-${createHash('sha256').update(name).digest('hex').slice(0, HASH_DIGITS)}${suffix}`;
  const bytes = Buffer.from(last).subarray(0, longest - ending.length);
  // A character cut in half would become three bytes.
  const start = bytes.toString('utf8').replace(/\uFFFD+$/, '');
  return join(dirname(name), `${start}${ending}`);
}
