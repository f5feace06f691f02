// The 20 classes of the PASCAL VOC challenges from 2007 on (host.robots.ox.ac.uk/pascal/VOC), and a folder's own.
import type { Category } from './dataset.js';

/** In the challenge's order, which is alphabetical. */
export const vocClassNames: readonly string[] = [
  'aeroplane',
  'bicycle',
  'bird',
  'boat',
  'bottle',
  'bus',
  'car',
  'cat',
  'chair',
  'cow',
  'diningtable',
  'dog',
  'horse',
  'motorbike',
  'person',
  'pottedplant',
  'sheep',
  'sofa',
  'train',
  'tvmonitor',
];

/**
 * The class list of a set in which these names occur: the 20 of PASCAL VOC where all names are among them (so that a
 * small sample keeps their numbers), else the names in alphabetical order, by code point.
 */
export function vocClassList(names: Iterable<string>): readonly string[] {
  const found = [...new Set(names)].sort();
  return found.length > 0 && found.every((name) => vocClassNames.includes(name)) ? vocClassNames : found;
}

/** Categories 1, 2, ... of a class list, in its order. */
export function classCategories(names: readonly string[]): Category[] {
  return names.map((name, i) => ({ id: i + 1, name }));
}
