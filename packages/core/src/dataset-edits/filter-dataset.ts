// A part of a data set by what its objects are.
import { InputError } from '../errors/index.js';
import type { Dataset, ImageRecord } from '../formats/dataset.js';

export interface FilterOptions {
  /** Names of the only categories that stay. */
  readonly categories?: readonly string[];
  /** Names of categories that go. */
  readonly without?: readonly string[];
  /** Shortest side of a box, in pixels. */
  readonly minSide?: number;
  /** Crowd regions go. */
  readonly dropCrowds?: boolean;
  /** Pictures that have no object, or have none left, go. */
  readonly dropEmpty?: boolean;
}

/** Ids stay as they are. @throws InputError for names that no category has */
export function filterDataset(dataset: Dataset, options: FilterOptions): Dataset {
  const { categories: kept, without = [], minSide = 0, dropCrowds = false, dropEmpty = false } = options;
  const known = new Set(dataset.categories.map(({ name }) => name));
  const unknown = [...(kept ?? []), ...without].find((name) => !known.has(name));
  if (unknown !== undefined)
    throw new InputError(
      'usage',
      `filterDataset: no category is called "${unknown}" (there are ${[...known].join(', ')}): correct the name`,
    );
  const isKept = (name: string) => (kept === undefined || kept.includes(name)) && !without.includes(name);
  const categories = dataset.categories.filter(({ name }) => isKept(name));
  const ids = new Set(categories.map(({ id }) => id));
  const annotations = dataset.annotations.filter(
    ({ categoryId, bbox, isCrowd }) =>
      ids.has(categoryId) && Math.min(bbox[2], bbox[3]) >= minSide && !(dropCrowds && isCrowd),
  );
  const used = new Set(annotations.map(({ imageId }) => imageId));
  const inCategories = (image: ImageRecord): ImageRecord => {
    const { lookedFor } = image;
    if (lookedFor === undefined) return image;
    const own = (list: readonly number[]): number[] => list.filter((id) => ids.has(id));
    return { ...image, lookedFor: { absent: own(lookedFor.absent), notAll: own(lookedFor.notAll) } };
  };
  const images = dataset.images.filter(({ id }) => !dropEmpty || used.has(id)).map(inCategories);
  return { ...dataset, images, annotations, categories };
}
