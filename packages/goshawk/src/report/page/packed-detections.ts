// What was found in all pictures of a report, as bytes: hundreds of thousands of detections with what they overlap. Each is
// kept so exactly that every threshold of a slider, hundredths all of them, decides as it would for the whole numbers.
import type { PictureOverlaps } from '@goshawk/core';
import type { DetectionData } from './report-data.js';

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
  readonly #bytes: number[] = [];

  add({ detections, overlaps }: FoundInPicture): void {
    const { nearStart, nearObject, nearIou, crowdShare } = overlaps;
    this.#number(detections.length);
    let before = SCORES;
    detections.forEach(([category, score, ...box], d) => {
      this.#number(category);
      const kept = floorTo(Math.min(1, Math.max(0, score)), SCORES);
      this.#number(before - kept);
      before = kept;
      for (const side of box) this.#signed(Math.round(side * TENTHS));
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

  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  /** Seven bits a byte, the lowest first; the eighth says that more follow. */
  #number(value: number): void {
    let rest = value >>> 0;
    while (rest > 127) {
      this.#bytes.push((rest & 127) | 128);
      rest >>>= 7;
    }
    this.#bytes.push(rest);
  }

  /** Of what a broken model gives, something that can be read again. */
  #signed(value: number): void {
    const whole = Math.max(-FARTHEST_PIXEL, Math.min(FARTHEST_PIXEL, value)) | 0;
    this.#number(whole < 0 ? -2 * whole - 1 : 2 * whole);
  }
}

/** @param objects of each picture: how many there are, crowds aside */
export function unpackDetections(bytes: Uint8Array, objects: readonly number[]): FoundInPicture[] {
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      value |= (byte & 127) << shift;
      if (byte < 128) return value >>> 0;
    }
  };
  const pixels = (): number => {
    const value = number();
    return (value & 1 ? -(value + 1) / 2 : value / 2) / TENTHS;
  };
  return objects.map((own) => {
    const count = number();
    const detections: DetectionData[] = [];
    const score = new Float64Array(count);
    const crowdShare = new Float64Array(count);
    const nearStart = new Uint32Array(count + 1);
    const nearObject: number[] = [];
    const nearIou: number[] = [];
    let kept = SCORES;
    for (let d = 0; d < count; d++) {
      const category = number();
      kept -= number();
      score[d] = kept / SCORES;
      detections.push([category, score[d]!, pixels(), pixels(), pixels(), pixels()]);
      const near = number();
      if (near & 1) crowdShare[d] = number() / SHARES;
      for (let n = near >>> 1; n > 0; n--) {
        nearObject.push(number());
        nearIou.push(number() / SHARES);
      }
      nearStart[d + 1] = nearObject.length;
    }
    return { detections, overlaps: { objects: own, score, nearStart, nearObject, nearIou, crowdShare } };
  });
}
