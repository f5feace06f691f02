// Detections by the million: their numbers in columns and their masks in bytes, an object only for the one that is looked at.
// An object each, with its run lengths, takes four times as much, most of it in an engine's limited heap.
import { boxXywh } from '../boxes/box.js';
import type { Polygon, Rle } from '../masks/rle.js';
import { decodeRuns, encodeRuns, MAX_CHARACTERS_PER_RUN as mostGroupsOfRun } from '../masks/rle-string.js';
import type { Detection, Segmentation } from './dataset.js';

const rowBits = 14;
const rowsPerBlock = 2 ** rowBits;
const numbersPerRow = 8;
const bytesPerPage = 2 ** 24;

const hasBox = 1;
const hasMask = 2;
const hasKeypoints = 4;

/** Rows of one block: image id, category id, score, box, and where its masks and keypoints start. */
interface Block {
  readonly numbers: Float64Array;
  readonly parts: Uint8Array;
}

/** What of a detection there may be besides its score. */
export type DetectionPart = 'bbox' | 'segmentation' | 'keypoints';

const partBits: Readonly<Record<DetectionPart, number>> = {
  bbox: hasBox,
  segmentation: hasMask,
  keypoints: hasKeypoints,
};

/** A detection as columns take it. */
export interface DetectionRow {
  readonly imageId: number;
  readonly categoryId: number;
  readonly score: number;
  /** `[x, y, width, height]` in image pixels. */
  readonly box: ArrayLike<number> | undefined;
  readonly mask: RowMask | undefined;
  readonly keypoints: ArrayLike<number> | undefined;
}

/** A mask's run lengths in both of its forms, each from the start of an array that may be longer. */
export interface RowMask {
  readonly height: number;
  readonly width: number;
  /** The characters of its compressed form less 48, `groupCount` of them. */
  readonly groups: Uint8Array;
  readonly groupCount: number;
  readonly counts: Uint32Array;
  readonly runs: number;
}

/** A growing list of detections. Numbers come back as they were; `keypointLogits` are not kept. */
export class PackedDetections {
  private readonly blocks: Block[] = [];
  private readonly pages: Page[] = [];
  private pageEnd = bytesPerPage;
  private count = 0;

  get length(): number {
    return this.count;
  }

  push(detection: Detection): void {
    const { imageId, categoryId, score, bbox, segmentation, keypoints } = detection;
    const row = { imageId, categoryId, score, box: bbox, keypoints };
    if (segmentation?.kind === 'polygons') this.add(row, segmentation.polygons);
    else this.append({ ...row, mask: segmentation && rowMask(segmentation.rle) });
  }

  /** Copies what the row holds. */
  append(row: DetectionRow): void {
    this.add(row, row.mask);
  }

  private add(row: Omit<DetectionRow, 'mask'>, mask: RowMask | readonly Polygon[] | undefined): void {
    const place = this.count++ % rowsPerBlock;
    if (place === 0)
      this.blocks.push({
        numbers: new Float64Array(rowsPerBlock * numbersPerRow),
        parts: new Uint8Array(rowsPerBlock),
      });
    const { numbers, parts } = this.blocks.at(-1)!;
    const { box, keypoints } = row;
    const at = place * numbersPerRow;
    numbers[at] = row.imageId;
    numbers[at + 1] = row.categoryId;
    numbers[at + 2] = row.score;
    if (box) for (let i = 0; i < 4; i++) numbers[at + 3 + i] = box[i]!;
    parts[place] = (box ? hasBox : 0) | (mask ? hasMask : 0) | (keypoints ? hasKeypoints : 0);
    if (!mask && !keypoints) return;
    const writer = this.space(longest(mask) + 8 * (keypoints?.length ?? 0) + mostBytesOfWhole);
    numbers[at + 7] = (this.pages.length - 1) * 2 ** 32 + writer.at;
    if (mask !== undefined) {
      if ('groups' in mask) writeMask(writer, mask);
      else writePolygons(writer, mask);
    }
    if (keypoints) writeNumbers(writer, keypoints);
    this.pageEnd = writer.at;
  }

  imageId(index: number): number {
    return this.number(index, 0);
  }

  categoryId(index: number): number {
    return this.number(index, 1);
  }

  score(index: number): number {
    return this.number(index, 2);
  }

  has(index: number, part: DetectionPart): boolean {
    return ((this.blocks[index >>> rowBits]!.parts[index & (rowsPerBlock - 1)] ?? 0) & partBits[part]) !== 0;
  }

  /** Writes the box, where there is one, to `out` from its start; whether there is. */
  box(index: number, out: Float64Array): boolean {
    const block = this.blocks[index >>> rowBits]!;
    const row = index & (rowsPerBlock - 1);
    if ((block.parts[row]! & hasBox) === 0) return false;
    for (let i = 0; i < 4; i++) out[i] = block.numbers[row * numbersPerRow + 3 + i]!;
    return true;
  }

  /** The mask's head, where it is one of run lengths. */
  mask(index: number): PackedMask | undefined {
    return this.has(index, 'segmentation') ? readMaskHead(this.reader(index)) : undefined;
  }

  /** The detection at `index`, as a new object; its mask is unpacked when it is looked at. */
  at(index: number): Detection | undefined {
    if (!(index >= 0 && index < this.count)) return undefined;
    const head = { imageId: this.imageId(index), categoryId: this.categoryId(index), score: this.score(index) };
    const number = (column: number) => this.number(index, column);
    const box = this.has(index, 'bbox') ? { bbox: boxXywh(number(3), number(4), number(5), number(6)) } : {};
    const points = this.has(index, 'keypoints') ? { keypoints: this.keypointsAt(index) } : {};
    if (!this.has(index, 'segmentation')) return { ...head, ...box, ...points };
    const unpack = () => readSegmentation(this.reader(index));
    let segmentation: Segmentation | undefined;
    return {
      ...head,
      ...box,
      get segmentation() {
        segmentation ??= unpack();
        return segmentation;
      },
      ...points,
    };
  }

  *[Symbol.iterator](): Generator<Detection, void, void> {
    for (let index = 0; index < this.count; index++) yield this.at(index)!;
  }

  private keypointsAt(index: number): readonly number[] {
    const reader = this.reader(index);
    if (this.has(index, 'segmentation')) readSegmentation(reader);
    return readNumbers(reader);
  }

  private number(index: number, column: number): number {
    return this.blocks[index >>> rowBits]!.numbers[(index & (rowsPerBlock - 1)) * numbersPerRow + column]!;
  }

  private reader(index: number): Cursor {
    const place = this.number(index, 7);
    return cursorOf(this.pages[Math.floor(place / 2 ** 32)]!, place % 2 ** 32);
  }

  private space(bytes: number): Cursor {
    if (this.pages.length === 0 || this.pageEnd + bytes > this.pages.at(-1)!.bytes.length) {
      const page = new Uint8Array(Math.max(bytesPerPage, bytes));
      this.pages.push({ bytes: page, view: new DataView(page.buffer) });
      this.pageEnd = 0;
    }
    return cursorOf(this.pages.at(-1)!, this.pageEnd);
  }
}

interface Page {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

interface Cursor extends Page {
  at: number;
}

function cursorOf({ bytes, view }: Page, at: number): Cursor {
  return { bytes, view, at };
}

const mostBytesOfWhole = 8;

/** Bytes that a mask takes at most. */
function longest(mask: RowMask | readonly Polygon[] | undefined): number {
  if (mask === undefined) return 0;
  if ('groups' in mask) return mostBytesOfWhole * wholesOfMask + mask.groupCount;
  return mostBytesOfWhole * mask.reduce((sum, polygon) => sum + 1 + polygon.length, 2);
}

function rowMask({ size, counts }: Rle): RowMask {
  const groups = new Uint8Array(counts.length * mostGroupsOfRun);
  const groupCount = encodeRuns(counts, groups, 0);
  return { height: size[0], width: size[1], groups, groupCount, counts, runs: counts.length };
}

const wholesOfMask = 7;

// The first number is 0 for polygons, else the height, which is above 0. Run lengths lie as in COCO's strings, about a byte each, behind
// what is asked of many masks of which nothing else is.
function writeMask(writer: Cursor, { height, width, groups, groupCount, counts, runs }: RowMask): void {
  let area = 0;
  for (let i = 1; i < runs; i += 2) area += counts[i]!;
  writeWhole(writer, height + 1);
  writeWhole(writer, width);
  writeWhole(writer, area);
  writeWhole(writer, runs === 0 ? 0 : counts[0]!);
  writeWhole(writer, runs % 2 === 1 ? counts[runs - 1]! : 0);
  writeWhole(writer, runs);
  writeWhole(writer, groupCount);
  writer.bytes.set(groups.subarray(0, groupCount), writer.at);
  writer.at += groupCount;
}

function writePolygons(writer: Cursor, polygons: readonly Polygon[]): void {
  writeWhole(writer, 0);
  writeWhole(writer, polygons.length);
  for (const polygon of polygons) writeNumbers(writer, polygon);
}

function readSegmentation(reader: Cursor): Segmentation {
  const first = readWhole(reader);
  if (first === 0) {
    const polygons = Array.from({ length: readWhole(reader) }, () => readNumbers(reader));
    return { kind: 'polygons', polygons };
  }
  const mask = readRunsHead(reader, first - 1);
  reader.at = mask.to;
  return { kind: 'rle', rle: unpackMask(mask, new Uint32Array(mask.runs)) };
}

/** What is asked of a mask before its run lengths are. */
export interface PackedMask {
  readonly height: number;
  readonly width: number;
  readonly area: number;
  /** Pixels in front of the first and behind the last run of ones. */
  readonly before: number;
  readonly behind: number;
  readonly runs: number;
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
}

/** @param room for the run lengths, which lie in it then */
export function unpackMask({ height, width, runs, bytes, from, to }: PackedMask, room: Uint32Array): Rle {
  decodeRuns(bytes, from, to, Number.POSITIVE_INFINITY, room);
  return { size: [height, width], counts: room.length === runs ? room : room.subarray(0, runs) };
}

function readMaskHead(reader: Cursor): PackedMask | undefined {
  const first = readWhole(reader);
  return first === 0 ? undefined : readRunsHead(reader, first - 1);
}

function readRunsHead(reader: Cursor, height: number): PackedMask {
  const width = readWhole(reader);
  const area = readWhole(reader);
  const before = readWhole(reader);
  const behind = readWhole(reader);
  const runs = readWhole(reader);
  const groupCount = readWhole(reader);
  const { bytes, at } = reader;
  return { height, width, area, before, behind, runs, bytes, from: at, to: at + groupCount };
}

function writeNumbers(writer: Cursor, numbers: ArrayLike<number>): void {
  writeWhole(writer, numbers.length);
  for (let i = 0; i < numbers.length; i++) {
    writer.view.setFloat64(writer.at, numbers[i]!);
    writer.at += 8;
  }
}

function readNumbers(reader: Cursor): number[] {
  return Array.from({ length: readWhole(reader) }, () => {
    const number = reader.view.getFloat64(reader.at);
    reader.at += 8;
    return number;
  });
}

// Seven bits a byte, lowest first; the eighth says that another byte follows.
function writeWhole(writer: Cursor, value: number): void {
  let left = value;
  while (left >= 128) {
    writer.bytes[writer.at++] = (left % 128) + 128;
    left = Math.floor(left / 128);
  }
  writer.bytes[writer.at++] = left;
}

function readWhole(reader: Cursor): number {
  let byte = reader.bytes[reader.at++]!;
  if (byte < 128) return byte;
  let value = byte - 128;
  for (let unit = 128; ; unit *= 128) {
    byte = reader.bytes[reader.at++]!;
    if (byte < 128) return value + byte * unit;
    value += (byte - 128) * unit;
  }
}
