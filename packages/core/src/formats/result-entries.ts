// Entries of a results file straight from its bytes: those without a fault and of the usual form, which are nearly all of millions.
// What this does not take, the reader of parsed entries does, with the same result.
import { decodeRuns } from '../masks/rle-string.js';
import type { ImageRecord } from './dataset.js';
import { JsonBytes } from './json-bytes.js';
import type { EntryTaker } from './json-stream.js';
import type { DetectionRow } from './packed-detections.js';
import type { ResultCategories, SettledCategory } from './result-categories.js';

const QUOTE = 0x22;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const firstCharacter = 48;

const mostKeypointNumbers = 3 * 1024;
const mostGroups = 2 ** 16;

const imageField = 1;
const categoryField = 2;
const scoreField = 4;
const boxField = 8;
const maskField = 16;
const keypointsField = 32;
const nameField = 64;
const required = imageField | categoryField | scoreField;
const detected = boxField | maskField | keypointsField;

const encoder = new TextEncoder();
const fields: readonly { readonly bit: number; readonly key: Uint8Array }[] = (
  [
    ['image_id', imageField],
    ['category_id', categoryField],
    ['score', scoreField],
    ['bbox', boxField],
    ['segmentation', maskField],
    ['keypoints', keypointsField],
    ['category_name', nameField],
  ] as const
).map(([key, bit]) => ({ bit, key: encoder.encode(key) }));
const sizeKey = encoder.encode('size');
const countsKey = encoder.encode('counts');

/** Takes entries one after the other. */
export class ResultEntries implements EntryTaker {
  private readonly images: ReadonlyMap<number, ImageRecord>;
  private readonly categories: ResultCategories;
  private readonly keep: (row: DetectionRow) => void;
  private readonly json = new JsonBytes();
  private image: ImageRecord | undefined;
  private readonly known = new KnownCategories();
  // What an entry holds, used again for the next one.
  private readonly box = new Float64Array(4);
  private readonly keypoints = new Float64Array(mostKeypointNumbers);
  private keypointCount = 0;
  private readonly size = new Float64Array(2);
  private readonly mask = {
    height: 0,
    width: 0,
    groups: new Uint8Array(mostGroups),
    groupCount: 0,
    counts: new Uint32Array(mostGroups),
    runs: 0,
  };
  private readonly row: { -readonly [Key in keyof DetectionRow]: DetectionRow[Key] } = {
    imageId: 0,
    categoryId: 0,
    score: 0,
    box: undefined,
    mask: undefined,
    keypoints: undefined,
  };

  /** @param keep is given each detection; the row and all that is in it is used again for the next one */
  constructor(
    images: ReadonlyMap<number, ImageRecord>,
    categories: ResultCategories,
    keep: (row: DetectionRow) => void,
  ) {
    this.images = images;
    this.categories = categories;
    this.keep = keep;
  }

  get isAscii(): boolean {
    return this.json.isAscii;
  }

  take(bytes: Uint8Array, from: number, end: number): number {
    const { json } = this;
    json.start(bytes, from, end);
    const seen = this.takeFields();
    const to = json.at;
    if (seen < 0 || !json.isBeforeComma()) return -1;
    return (seen & required) === required && (seen & detected) !== 0 && this.keepRow(seen) ? to : -1;
  }

  /** The fields of an entry, read into the row: which there are; -1 where one is unusual. */
  private takeFields(): number {
    const { json, row } = this;
    if (!json.takes(OPEN_OBJECT)) return -1;
    let seen = 0;
    do {
      if (!json.key()) return -1;
      const field = this.field();
      // Of a key that stands there twice, the last counts; and one that is escaped may be any.
      if ((seen & field) !== 0 || json.hasEscape) return -1;
      seen |= field;
      switch (field) {
        case imageField:
          row.imageId = json.number();
          if (!Number.isSafeInteger(row.imageId)) return -1;
          break;
        case categoryField:
          row.categoryId = json.number();
          if (!Number.isSafeInteger(row.categoryId)) return -1;
          break;
        case scoreField:
          row.score = json.number();
          if (!Number.isFinite(row.score)) return -1;
          break;
        case boxField:
          if (json.numbers(this.box) !== 4) return -1;
          break;
        case maskField:
          if (!this.takeMask()) return -1;
          break;
        case keypointsField:
          this.keypointCount = json.numbers(this.keypoints);
          if (this.keypointCount < 0) return -1;
          break;
        case nameField:
          if (!json.string()) return -1;
          this.known.nameFrom = json.stringFrom;
          this.known.nameTo = json.stringTo;
          break;
        default:
          if (!json.skip()) return -1;
      }
    } while (json.takes(COMMA));
    return json.takes(CLOSE_OBJECT) ? seen : -1;
  }

  /** Which field the key names that was read last; 0 for others. */
  private field(): number {
    const { json } = this;
    for (const { key, bit } of fields) if (json.isString(key)) return bit;
    return 0;
  }

  private takeMask(): boolean {
    const { json } = this;
    if (!json.takes(OPEN_OBJECT)) return false;
    let [hasSize, hasCounts] = [false, false];
    do {
      if (!json.key() || json.hasEscape) return false;
      if (json.isString(sizeKey)) {
        if (hasSize || json.numbers(this.size) !== 2) return false;
        hasSize = true;
      } else if (json.isString(countsKey)) {
        if (hasCounts || !this.takeGroups()) return false;
        hasCounts = true;
      } else if (!json.skip()) return false;
    } while (json.takes(COMMA));
    return hasSize && hasCounts && json.takes(CLOSE_OBJECT);
  }

  /** The characters of run lengths, as their groups. */
  private takeGroups(): boolean {
    const { json, mask } = this;
    if (!json.takes(QUOTE)) return false;
    const { bytes } = json;
    const { groups } = mask;
    const last = Math.min(json.end, json.at + groups.length);
    let { at } = json;
    let count = 0;
    for (; at < last; at++) {
      const byte = bytes[at]!;
      if (byte === QUOTE) {
        mask.groupCount = count;
        json.at = at + 1;
        return true;
      }
      // The one character of the form that JSON escapes.
      if (byte === BACKSLASH && bytes[++at] !== BACKSLASH) return false;
      groups[count++] = byte - firstCharacter;
    }
    return false;
  }

  /** Gives the row away; false where anything is wrong with it. */
  private keepRow(seen: number): boolean {
    const { row, known } = this;
    const hasName = (seen & nameField) !== 0 && known.nameTo > known.nameFrom;
    const settled = known.of(row.categoryId, hasName, this.json.bytes, this.categories);
    if (settled === undefined || !this.findImage(row.imageId)) return false;
    row.box = undefined;
    row.mask = undefined;
    row.keypoints = undefined;
    if ((seen & boxField) !== 0) {
      if (!areFinite(this.box, 4)) return false;
      row.box = this.box;
    }
    if ((seen & maskField) !== 0) {
      if (!this.decodeMask()) return false;
      row.mask = this.mask;
    }
    if ((seen & keypointsField) !== 0) {
      const points = settled.category?.keypoints?.length;
      if (points === undefined ? this.keypointCount % 3 !== 0 : this.keypointCount !== points * 3) return false;
      if (!areFinite(this.keypoints, this.keypointCount)) return false;
      row.keypoints = this.keypoints.subarray(0, this.keypointCount);
    }
    if (settled.category === undefined) return true;
    row.categoryId = settled.category.id;
    this.keep(row);
    return true;
  }

  private findImage(id: number): boolean {
    if (this.image?.id !== id) this.image = this.images.get(id);
    return this.image !== undefined;
  }

  private decodeMask(): boolean {
    const { mask, image } = this;
    const [height, width] = [this.size[0]!, this.size[1]!];
    if (!Number.isSafeInteger(height) || !Number.isSafeInteger(width) || !(height > 0 && width > 0)) return false;
    const { width: imageWidth, height: imageHeight } = image!;
    if (imageWidth > 0 && imageHeight > 0 && (height !== imageHeight || width !== imageWidth)) return false;
    if (height * width > 0xffffffff) return false;
    mask.height = height;
    mask.width = width;
    mask.runs = decodeRuns(mask.groups, 0, mask.groupCount, height * width, mask.counts);
    return mask.runs >= 0;
  }
}

/** Categories of entries by their id and their name's bytes, where {@link ResultCategories} has met them. */
class KnownCategories {
  /** Where the name of the entry lies. */
  nameFrom = 0;
  nameTo = 0;
  private readonly unnamed = new Map<number, SettledCategory>();
  /** The name as it stood there last. */
  private readonly named = new Map<number, { readonly name: Uint8Array; readonly settled: SettledCategory }>();
  private readonly decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  /** Undefined where the categories have to see it first. */
  of(id: number, hasName: boolean, bytes: Uint8Array, categories: ResultCategories): SettledCategory | undefined {
    if (!hasName) {
      const known = this.unnamed.get(id) ?? categories.settled(id, undefined);
      if (known !== undefined) this.unnamed.set(id, known);
      return known;
    }
    const { nameFrom, nameTo } = this;
    const last = this.named.get(id);
    if (last !== undefined && last.name.length === nameTo - nameFrom) {
      let i = 0;
      while (i < last.name.length && last.name[i] === bytes[nameFrom + i]) i++;
      if (i === last.name.length) return last.settled;
    }
    const name = this.textOf(bytes.subarray(nameFrom - 1, nameTo + 1));
    const settled = name === undefined ? undefined : categories.settled(id, name);
    if (settled !== undefined) this.named.set(id, { name: bytes.slice(nameFrom, nameTo), settled });
    return settled;
  }

  private textOf(quoted: Uint8Array): string | undefined {
    try {
      return JSON.parse(this.decoder.decode(quoted)) as string;
    } catch {
      return undefined;
    }
  }
}

function areFinite(numbers: Float64Array, count: number): boolean {
  for (let i = 0; i < count; i++) if (!Number.isFinite(numbers[i])) return false;
  return true;
}
