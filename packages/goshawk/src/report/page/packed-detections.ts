// What was found in all pictures of a report, as bytes: hundreds of thousands of detections with what they overlap. Each is
// kept so exactly that every threshold of a slider, hundredths all of them, decides as it would for the whole numbers.
import type { PictureOverlaps } from '@goshawk/core';
import type { DetectionData, PackedDetections } from './report-data.js';

/** Detections of one picture, best first, and what each overlaps; places of objects are those among what is no crowd. */
export interface FoundInPicture {
  readonly detections: readonly DetectionData[];
  readonly overlaps: PictureOverlaps;
}

const SCORES = 10_000;
const SHARES = 100;
const TENTHS = 10;
const FARTHEST_PIXEL = 1e7;

/** The kept score from which exactly what has at least this score is kept. */
export function keptScore(score: number): number {
  return floorTo(score, SCORES) / SCORES;
}

/** The largest of the fractions n / unit that is not above the value. */
function floorTo(value: number, unit: number): number {
  let whole = Math.floor(value * unit);
  while ((whole + 1) / unit <= value) whole++;
  while (whole / unit > value) whole--;
  return whole;
}

function ceilTo(value: number, unit: number): number {
  const whole = floorTo(value, unit);
  return whole / unit < value ? whole + 1 : whole;
}

/** Writes picture after picture, in the order in which they will be read. */
export class DetectionPacker {
  readonly #found: number[] = [];
  readonly #boxes: number[] = [];

  add({ detections, overlaps }: FoundInPicture): void {
    const { nearStart, nearObject, nearIou, crowdShare } = overlaps;
    this.#number(detections.length);
    const firstBox = this.#boxes.length;
    for (const [, , ...box] of detections) for (const side of box) this.#signed(Math.round(side * TENTHS));
    this.#number(this.#boxes.length - firstBox);
    let before = SCORES;
    detections.forEach(([category, score], d) => {
      this.#number(category);
      const kept = floorTo(Math.min(1, Math.max(0, score)), SCORES);
      this.#number(before - kept);
      before = kept;
      const share = ceilTo(crowdShare[d]!, SHARES);
      const near = nearStart[d + 1]! - nearStart[d]!;
      this.#number(near * 2 + (share > 0 ? 1 : 0));
      if (share > 0) this.#number(share);
      for (let place = nearStart[d]!; place < nearStart[d + 1]!; place++) {
        this.#number(nearObject[place]!);
        this.#number(floorTo(nearIou[place]!, SHARES));
      }
    });
  }

  bytes(): PackedDetections<Uint8Array> {
    return { found: Uint8Array.from(this.#found), boxes: Uint8Array.from(this.#boxes) };
  }

  /** Seven bits a byte, the lowest first; the eighth says that more follow. */
  #number(value: number, to = this.#found): void {
    let rest = value >>> 0;
    while (rest > 127) {
      to.push((rest & 127) | 128);
      rest >>>= 7;
    }
    to.push(rest);
  }

  /** Of what a broken model gives, something that can be read again. */
  #signed(value: number): void {
    const whole = Math.max(-FARTHEST_PIXEL, Math.min(FARTHEST_PIXEL, value)) | 0;
    this.#number(whole < 0 ? -2 * whole - 1 : 2 * whole, this.#boxes);
  }
}

/** Of one picture, as the page has it: its boxes are unpacked when they are asked for. */
export interface PackedPicture {
  /** Of each detection. */
  readonly categories: ArrayLike<number>;
  readonly overlaps: PictureOverlaps;
  detections(): DetectionData[];
}

/**
 * A page is opened with hundreds of thousands of detections and shows some dozens: what is counted lies in arrays of all pictures
 * together, and no object is made of a detection before it is shown.
 * @param packed what the packer wrote, a byte a character
 * @param objects of each picture: how many there are, crowds aside
 */
export function unpackDetections({ found, boxes }: PackedDetections, objects: readonly number[]): PackedPicture[] {
  const bytes = bytesOf(found);
  const reader = new NumberReader(bytes);
  // A detection takes three bytes at least, and what is near it two.
  const most = Math.ceil(bytes.length / 3);
  const categories = new Uint32Array(most);
  const score = new Float64Array(most);
  const crowdShare = new Float64Array(most);
  const nearStart = new Uint32Array(most + objects.length);
  const nearObject = new Uint32Array(Math.ceil(bytes.length / 2));
  const nearIou = new Float64Array(nearObject.length);
  const pictures: PackedPicture[] = [];
  let [first, near, box] = [0, 0, 0];
  for (let picture = 0; picture < objects.length; picture++) {
    const last = first + reader.number();
    const firstBox = box;
    box += reader.number();
    const lastBox = box;
    // Places in the arrays of all pictures; each picture has one more than it has detections.
    const start = first + picture;
    nearStart[start] = near;
    let kept = SCORES;
    for (let d = first; d < last; d++) {
      categories[d] = reader.number();
      kept -= reader.number();
      score[d] = kept / SCORES;
      const words = reader.number();
      if (words & 1) crowdShare[d] = reader.number() / SHARES;
      for (let left = words >>> 1; left > 0; left--) {
        nearObject[near] = reader.number();
        nearIou[near++] = reader.number() / SHARES;
      }
      nearStart[d + picture + 1] = near;
    }
    const own = { categories: categories.subarray(first, last), score: score.subarray(first, last) };
    pictures.push({
      categories: own.categories,
      overlaps: {
        ...{ objects: objects[picture]!, score: own.score, nearObject, nearIou },
        nearStart: nearStart.subarray(start, start + last - first + 1),
        crowdShare: crowdShare.subarray(first, last),
      },
      detections: () => unpackBoxes(bytesOf(boxes.slice(firstBox, lastBox)), own.categories, own.score),
    });
    first = last;
  }
  return pictures;
}

function unpackBoxes(bytes: Uint8Array, categories: ArrayLike<number>, scores: ArrayLike<number>): DetectionData[] {
  const reader = new NumberReader(bytes);
  const pixels = (): number => reader.signed() / TENTHS;
  return Array.from(
    scores,
    (score, d): DetectionData => [categories[d]!, score, pixels(), pixels(), pixels(), pixels()],
  );
}

function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The numbers of a packer, one after another. */
class NumberReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  number(): number {
    let byte = this.#bytes[this.#at++]!;
    if (byte < 128) return byte;
    let value = byte & 127;
    for (let shift = 7; byte > 127; shift += 7) {
      byte = this.#bytes[this.#at++]!;
      value |= (byte & 127) << shift;
    }
    return value >>> 0;
  }

  signed(): number {
    const value = this.number();
    return value & 1 ? -(value + 1) / 2 : value / 2;
  }
}
