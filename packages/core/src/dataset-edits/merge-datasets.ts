// Several data sets as one.
import { InputError } from '../errors/index.js';
import type { Annotation, Category, Dataset, ImageRecord } from '../formats/dataset.js';

export interface MergePart {
  /** Stands in messages. */
  readonly name: string;
  readonly dataset: Dataset;
}

export interface MergedDataset {
  /** Images and annotations 1, 2, ... in the order of the parts; categories 1, 2, ... in that of their first part. */
  readonly dataset: Dataset;
  /** Pictures that several parts have, whose objects are together now. */
  readonly sharedImages: number;
  /** Objects left out: the same picture, category and box as one before. */
  readonly sameObjects: number;
}

/**
 * Categories are one where their names are, pictures where their file names are: the caller sees to it that names of all
 * parts start from one folder.
 * @throws InputError where parts have other sizes of one picture, or other keypoints of one category
 */
export function mergeDatasets(parts: readonly MergePart[]): MergedDataset {
  const categories = new Map<string, Category>();
  const images = new Map<string, ImageRecord>();
  const annotations: Annotation[] = [];
  const seen = new Set<string>();
  let sharedImages = 0;
  let sameObjects = 0;
  for (const { name, dataset } of parts) {
    const categoryOf = new Map<number, number>();
    for (const category of dataset.categories) {
      const known = categories.get(category.name);
      if (known === undefined) categories.set(category.name, { ...category, id: categories.size + 1 });
      else if (known.keypoints?.join('\0') !== category.keypoints?.join('\0'))
        throw new InputError(
          'annotation-invalid',
          `${name}: category "${category.name}" has other keypoints than in the files before: make them alike, or give it another name`,
        );
      categoryOf.set(category.id, categories.get(category.name)!.id);
    }
    const imageOf = new Map<number, number>();
    const before = images.size;
    for (const image of dataset.images) {
      const known = images.get(image.fileName);
      const own = renumbered(image, categoryOf);
      if (known === undefined) images.set(image.fileName, { ...own, id: images.size + 1 });
      else if (known.width !== image.width || known.height !== image.height)
        throw new InputError(
          'annotation-invalid',
          `${name}: ${image.fileName} is ${image.width} x ${image.height}, but ${known.width} x ${known.height} in the files before: correct the wrong one`,
        );
      else {
        if (known.id <= before) sharedImages++;
        images.set(image.fileName, { ...known, ...bothLookedFor(known, own) });
      }
      imageOf.set(image.id, images.get(image.fileName)!.id);
    }
    const own: string[] = [];
    for (const annotation of dataset.annotations) {
      const imageId = imageOf.get(annotation.imageId)!;
      const categoryId = categoryOf.get(annotation.categoryId)!;
      const key = [imageId, categoryId, ...annotation.bbox].join(' ');
      own.push(key);
      if (seen.has(key)) sameObjects++;
      else annotations.push({ ...annotation, id: annotations.length + 1, imageId, categoryId });
    }
    // Two alike in one part are that part's own business.
    for (const key of own) seen.add(key);
  }
  return {
    dataset: { images: [...images.values()], annotations, categories: [...categories.values()] },
    sharedImages,
    sameObjects,
  };
}

/** LVIS' lists in the numbers of the merged set. */
function renumbered(image: ImageRecord, categoryOf: ReadonlyMap<number, number>): ImageRecord {
  const { lookedFor } = image;
  if (lookedFor === undefined) return image;
  const all = (ids: readonly number[]): number[] => ids.flatMap((id) => categoryOf.get(id) ?? []);
  return { ...image, lookedFor: { absent: all(lookedFor.absent), notAll: all(lookedFor.notAll) } };
}

/** Of a picture of two parts; one that says nothing was looked at for all of its own categories. */
function bothLookedFor(a: ImageRecord, b: ImageRecord): Pick<ImageRecord, 'lookedFor'> {
  if (a.lookedFor === undefined && b.lookedFor === undefined) return {};
  const lists = [a.lookedFor, b.lookedFor].filter((lookedFor) => lookedFor !== undefined);
  return {
    lookedFor: {
      absent: [...new Set(lists.flatMap(({ absent }) => absent))],
      notAll: [...new Set(lists.flatMap(({ notAll }) => notAll))],
    },
  };
}
