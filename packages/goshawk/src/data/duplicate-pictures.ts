// Pictures that are there twice: the same bytes, or, on request, the same picture in another size or compression. One that is
// in the training and in the validation set makes the figures too good.
import { createHash } from 'node:crypto';
import { type DataIssue, DataIssueList, type ImageRecord, type RgbImage } from '@goshawk/core';

/** Of one picture of one of the files that are checked. */
export interface PictureMark {
  /** The annotation file that lists it. */
  readonly fileName: string;
  readonly image: Pick<ImageRecord, 'id' | 'fileName'>;
  /** Where the picture is. */
  readonly path: string;
  /** Of its bytes. */
  readonly digest: string;
  readonly look?: PictureLook;
}

/** What a picture looks like from afar. */
export interface PictureLook {
  /** 64 bits, of which bit `8 * row + column` is set where a cell is darker than its right neighbour ("dHash", N. Krawetz 2013). */
  readonly hash: bigint;
  /** Means of red, green and blue in each of the 9 x 8 cells, row by row. */
  readonly cells: Float64Array;
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64');
}

const COLUMNS = 9;
const ROWS = 8;
/** Mean difference of the cells' levels up to which hashes are believed: flat pictures of any colour have no bit set. */
const MOST_LEVELS = 3;

export function pictureLook({ data, width, height }: RgbImage): PictureLook {
  const sums = new Float64Array(COLUMNS * ROWS * 3);
  const counts = new Float64Array(COLUMNS * ROWS);
  for (let y = 0; y < height; y++) {
    const row = Math.floor((y * ROWS) / height) * COLUMNS;
    for (let x = 0, i = y * width * 3; x < width; x++, i += 3) {
      const cell = row + Math.floor((x * COLUMNS) / width);
      for (let c = 0; c < 3; c++) sums[cell * 3 + c] = sums[cell * 3 + c]! + data[i + c]!;
      counts[cell] = counts[cell]! + 1;
    }
  }
  const cells = sums.map((sum, i) => sum / Math.max(1, counts[Math.floor(i / 3)]!));
  const grey = (cell: number): number =>
    0.299 * cells[cell * 3]! + 0.587 * cells[cell * 3 + 1]! + 0.114 * cells[cell * 3 + 2]!;
  let hash = 0n;
  for (let row = 0; row < ROWS; row++)
    for (let column = 0; column < COLUMNS - 1; column++)
      if (grey(row * COLUMNS + column) < grey(row * COLUMNS + column + 1)) hash |= 1n << BigInt(8 * row + column);
  return { hash, cells };
}

/** In how many of the 64 bits two hashes differ. */
export function hashDistance(a: bigint, b: bigint): number {
  let count = 0;
  for (let rest = a ^ b; rest !== 0n; rest &= rest - 1n) count++;
  return count;
}

/**
 * One warning for each picture that an earlier one is the same as.
 * @param nearLimit most bits in which the hashes of near duplicates differ. Default: they are not looked for.
 */
export function findDuplicates(pictures: readonly PictureMark[], nearLimit?: number): DataIssue[] {
  const found: DataIssue[] = [];
  const byDigest = new Map<string, PictureMark>();
  const near = nearLimit === undefined ? undefined : new NearPictures(nearLimit);
  for (const picture of pictures) {
    const { fileName, image, digest, path } = picture;
    const issues = new DataIssueList(fileName);
    const warn = (code: 'duplicate-image' | 'near-duplicate-image', what: string, twin: PictureMark): void => {
      const where = twin.fileName === fileName ? '' : ` of ${twin.fileName}`;
      const remedy = where === '' ? 'keep one of them' : 'keep it in one of the files, or figures will be too good';
      const other = `image id ${twin.image.id} (${twin.image.fileName})${where}`;
      issues.warning(code, 'images', `${image.fileName} ${what} ${other}: ${remedy}`, `image id ${image.id}`);
    };
    const same = byDigest.get(digest);
    if (same === undefined) byDigest.set(digest, picture);
    // One file listed twice in one list has been said by its name.
    else if (same.path !== path || same.fileName !== fileName) warn('duplicate-image', 'has the bytes of', same);
    const alike = same === undefined ? near?.add(picture) : undefined;
    if (alike) warn('near-duplicate-image', 'looks like', alike);
    found.push(...issues.issues);
  }
  return found;
}

/** Ids of pictures of one file that are the same or look alike, a list for each kind of picture that is there more than once. */
export function groupTwins(pictures: readonly PictureMark[], nearLimit: number): number[][] {
  const groups = new Map<PictureMark, number[]>();
  const groupOf = new Map<PictureMark, PictureMark>();
  const byDigest = new Map<string, PictureMark>();
  const near = new NearPictures(nearLimit);
  for (const picture of pictures) {
    const same = byDigest.get(picture.digest);
    const twin = same ?? near.add(picture);
    if (same === undefined) byDigest.set(picture.digest, picture);
    const first = twin === undefined ? picture : groupOf.get(twin)!;
    groupOf.set(picture, first);
    groups.set(first, [...(groups.get(first) ?? []), picture.image.id]);
  }
  return [...groups.values()].filter((ids) => ids.length > 1);
}

/** Finds hashes that differ in few bits: of one more part than bits may differ, one is equal. */
class NearPictures {
  readonly #limit: number;
  readonly #parts: Map<bigint, PictureMark[]>[];

  constructor(limit: number) {
    this.#limit = limit;
    this.#parts = Array.from({ length: limit + 1 }, () => new Map());
  }

  /** An earlier picture that looks alike. */
  add(picture: PictureMark): PictureMark | undefined {
    const { look } = picture;
    if (look === undefined) return undefined;
    let alike: PictureMark | undefined;
    this.#parts.forEach((byPart, index) => {
      const from = Math.floor((64 * index) / this.#parts.length);
      const to = Math.floor((64 * (index + 1)) / this.#parts.length);
      const part = BigInt.asUintN(to - from, look.hash >> BigInt(from));
      const others = byPart.get(part);
      if (others === undefined) byPart.set(part, [picture]);
      else {
        alike ??= others.find((other) => isAlike(look, other.look!, this.#limit));
        others.push(picture);
      }
    });
    return alike;
  }
}

function isAlike(a: PictureLook, b: PictureLook, limit: number): boolean {
  if (hashDistance(a.hash, b.hash) > limit) return false;
  const difference = a.cells.reduce((sum, level, i) => sum + Math.abs(level - b.cells[i]!), 0);
  return difference / a.cells.length <= MOST_LEVELS;
}
