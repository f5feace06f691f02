// Names of drawn pictures: those of the pictures, as PNG, each once and none longer than a file system takes.
import { createHash } from 'node:crypto';
import { basename, dirname, extname, join } from 'node:path';
import type { NamedImage } from '../infer/index.js';

/** Bytes of a name; what file systems take. */
const LONGEST_NAME = 255;
const HASH_DIGITS = 8;

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
  of({ path, fileName }: NamedImage): string {
    const name = path === fileName ? basename(fileName) : fileName;
    const stem = name.slice(0, name.length - extname(name).length);
    let drawn = shortened(`${stem}.png`);
    for (let number = 2; this.#taken.has(drawn); number++) drawn = shortened(`${stem}-${number}.png`);
    this.#taken.add(drawn);
    return drawn;
  }
}

function shortened(name: string): string {
  const last = basename(name);
  if (Buffer.byteLength(last) <= LONGEST_NAME) return name;
  const ending = `-${createHash('sha256').update(name).digest('hex').slice(0, HASH_DIGITS)}.png`;
  const bytes = Buffer.from(last).subarray(0, LONGEST_NAME - ending.length);
  // A character cut in half would become three bytes.
  const start = bytes.toString('utf8').replace(/\uFFFD+$/, '');
  return join(dirname(name), `${start}${ending}`);
}
