// Objects that stand twice in a data set: the same picture, category and box.
import type { DataIssueList } from './data-issue.js';
import type { Annotation } from './dataset.js';

type Placed = Pick<Annotation, 'imageId' | 'categoryId' | 'bbox'>;

/** Remembers objects, and tells of each whether an equal one was there before. */
export class ObjectTwins<Item extends Placed> {
  /** By a number made from picture, category and box. A string each would take most of the memory of a large file. */
  private readonly seen = new Map<number, Item>();

  /** @returns the first object that has the picture, category and box of this one */
  take(object: Item): Item | undefined {
    const key = boxKey(object);
    const other = this.seen.get(key);
    if (other === undefined) {
      this.seen.set(key, object);
      return undefined;
    }
    const isTwin =
      other.imageId === object.imageId &&
      other.categoryId === object.categoryId &&
      other.bbox.every((value, i) => value === object.bbox[i]);
    return isTwin ? other : undefined;
  }
}

/** Says of an object that it stands twice. @param named how a message names the first */
export function tellTwin(named: string, path: string, issues: DataIssueList, entity = ''): void {
  issues.warning(
    'duplicate-annotation',
    path,
    `has the image, category and box of ${named}: both are kept; remove one if they are one object`,
    entity,
  );
}

const keyNumbers = new Float64Array(6);
const keyWords = new Uint32Array(keyNumbers.buffer);

/** 52 bits that equal objects share; that others share them is so rare that nobody minds a missed warning. */
function boxKey({ imageId, categoryId, bbox }: Placed): number {
  keyNumbers[0] = imageId;
  keyNumbers[1] = categoryId;
  for (let i = 0; i < 4; i++) keyNumbers[2 + i] = bbox[i]! + 0;
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  for (const word of keyWords) {
    low = Math.imul(low ^ word, 0x85ebca6b);
    low ^= low >>> 13;
    high = Math.imul(high ^ word, 0xc2b2ae35);
    high ^= high >>> 15;
  }
  return (high & 0xfffff) * 2 ** 32 + (low >>> 0);
}
