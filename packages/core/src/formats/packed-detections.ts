// Detections by the million: their numbers in columns and their masks in bytes, an object only for the one that is looked at.
// An object each, with its run lengths, takes four times as much, most of it in an engine's limited heap.
import { boxXywh } from '../boxes/box.js';
import type { Rle } from '../masks/rle.js';
import type { Detection, Segmentation } from './dataset.js';

const rowsPerBlock = 2 ** 14;
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

/** A growing list of detections. Numbers come back as they were; `keypointLogits` are not kept. */
export class PackedDetections {
  private readonly blocks: Block[] = [];
  private readonly pages: DataView[] = [];
  private pageEnd = bytesPerPage;
  private count = 0;

  get length(): number {
    return this.count;
  }

  push(detection: Detection): void {
    const row = this.count++ % rowsPerBlock;
    if (row === 0)
      this.blocks.push({
        numbers: new Float64Array(rowsPerBlock * numbersPerRow),
        parts: new Uint8Array(rowsPerBlock),
      });
    const { numbers, parts } = this.blocks.at(-1)!;
    const { imageId, categoryId, score, bbox, segmentation, keypoints } = detection;
    const at = row * numbersPerRow;
    numbers[at] = imageId;
    numbers[at + 1] = categoryId;
    numbers[at + 2] = score;
    if (bbox) numbers.set(bbox, at + 3);
    parts[row] = (bbox ? hasBox : 0) | (segmentation ? hasMask : 0) | (keypoints ? hasKeypoints : 0);
    if (!segmentation && !keypoints) return;
    const writer = this.space(longest(segmentation) + 8 * (keypoints?.length ?? 0) + 8);
    numbers[at + 7] = (this.pages.length - 1) * 2 ** 32 + writer.at;
    if (segmentation) writeSegmentation(writer, segmentation);
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
    return ((this.blocks[Math.floor(index / rowsPerBlock)]!.parts[index % rowsPerBlock] ?? 0) & partBits[part]) !== 0;
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
    return this.blocks[Math.floor(index / rowsPerBlock)]!.numbers[(index % rowsPerBlock) * numbersPerRow + column]!;
  }

  private reader(index: number): Cursor {
    const place = this.number(index, 7);
    return { page: this.pages[Math.floor(place / 2 ** 32)]!, at: place % 2 ** 32 };
  }

  private space(bytes: number): Cursor {
    if (this.pages.length === 0 || this.pageEnd + bytes > this.pages.at(-1)!.byteLength) {
      this.pages.push(new DataView(new ArrayBuffer(Math.max(bytesPerPage, bytes))));
      this.pageEnd = 0;
    }
    return { page: this.pages.at(-1)!, at: this.pageEnd };
  }
}

interface Cursor {
  readonly page: DataView;
  at: number;
}

const mostBytesOfWhole = 8;

/** Bytes that a mask takes at most. */
function longest(segmentation: Segmentation | undefined): number {
  if (segmentation === undefined) return 0;
  if (segmentation.kind === 'rle') return mostBytesOfWhole * (3 + segmentation.rle.counts.length);
  return mostBytesOfWhole * segmentation.polygons.reduce((sum, polygon) => sum + 1 + polygon.length, 1);
}

// The first number is 0 for polygons, else the height, which is above 0.
function writeSegmentation(writer: Cursor, segmentation: Segmentation): void {
  if (segmentation.kind === 'polygons') {
    writeWhole(writer, 0);
    writeWhole(writer, segmentation.polygons.length);
    for (const polygon of segmentation.polygons) writeNumbers(writer, polygon);
    return;
  }
  const { size, counts } = segmentation.rle;
  writeWhole(writer, size[0] + 1);
  writeWhole(writer, size[1]);
  writeWhole(writer, counts.length);
  // As in COCO's strings, a run is told by its difference from the one two before: most take a byte.
  for (let i = 0; i < counts.length; i++) {
    const difference = counts[i]! - (i > 1 ? counts[i - 2]! : 0);
    writeWhole(writer, difference < 0 ? -2 * difference - 1 : 2 * difference);
  }
}

function readSegmentation(reader: Cursor): Segmentation {
  const first = readWhole(reader);
  if (first === 0) {
    const polygons = Array.from({ length: readWhole(reader) }, () => readNumbers(reader));
    return { kind: 'polygons', polygons };
  }
  const size: Rle['size'] = [first - 1, readWhole(reader)];
  const counts = new Uint32Array(readWhole(reader));
  for (let i = 0; i < counts.length; i++) {
    const folded = readWhole(reader);
    const difference = folded % 2 === 1 ? -(folded + 1) / 2 : folded / 2;
    counts[i] = difference + (i > 1 ? counts[i - 2]! : 0);
  }
  return { kind: 'rle', rle: { size, counts } };
}

function writeNumbers(writer: Cursor, numbers: readonly number[]): void {
  writeWhole(writer, numbers.length);
  for (const number of numbers) {
    writer.page.setFloat64(writer.at, number);
    writer.at += 8;
  }
}

function readNumbers(reader: Cursor): number[] {
  return Array.from({ length: readWhole(reader) }, () => {
    const number = reader.page.getFloat64(reader.at);
    reader.at += 8;
    return number;
  });
}

// Seven bits a byte, lowest first; the eighth says that another byte follows.
function writeWhole(writer: Cursor, value: number): void {
  let left = value;
  while (left >= 128) {
    writer.page.setUint8(writer.at++, (left % 128) + 128);
    left = Math.floor(left / 128);
  }
  writer.page.setUint8(writer.at++, left);
}

function readWhole(reader: Cursor): number {
  let byte = reader.page.getUint8(reader.at++);
  if (byte < 128) return byte;
  let value = byte - 128;
  for (let unit = 128; ; unit *= 128) {
    byte = reader.page.getUint8(reader.at++);
    if (byte < 128) return value + byte * unit;
    value += (byte - 128) * unit;
  }
}
