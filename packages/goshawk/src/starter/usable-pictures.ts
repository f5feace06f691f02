// Which pictures of a set can be learned from or measured on: one that is missing or damaged is left out now and named, and does not
// end a training that has begun.
import { type DataIssue, type Dataset, InputError } from '@goshawk/core';
import { checkPictures, examineDataset, groupTwins, TWIN_BITS } from '../data/index.js';

/** How pictures are opened, as a config's `data` says. */
export interface PictureWays {
  readonly exifOrientation: 'apply' | 'ignore';
  readonly followLinks: boolean;
}

export interface PicturesOfSet {
  readonly annotations: string;
  readonly dataset: Dataset;
  /** Folder that file names start from. */
  readonly images: string;
}

export interface UsablePictures {
  readonly dataset: Dataset;
  /** What is wrong with those that are left out, a line each. */
  readonly problems: readonly string[];
  /** Ids of pictures that are the same or look alike, a list for each kind; of none that were not looked at. */
  readonly together: readonly (readonly number[])[];
}

/**
 * @param options.looks whether every picture is decoded; else only whether it is there is asked
 * @throws InputError where pictures lead out of their folder, and where more than half cannot be used: then the set or its place is wrong
 */
export async function usablePictures(
  { annotations, dataset, images }: PicturesOfSet,
  ways: PictureWays,
  { looks, onProgress }: { readonly looks: boolean; readonly onProgress?: (done: number, total: number) => void },
): Promise<UsablePictures> {
  const { opened, issues } = examineDataset(
    dataset,
    { annotations, images },
    { purpose: 'evaluation', exifOrientation: ways.exifOrientation, followLinks: ways.followLinks },
  );
  const errors = issues.filter(({ severity }) => severity === 'error');
  const other = errors.filter(({ code }) => code !== 'image-missing');
  if (other.length > 0) throw refusal(other);
  const checked = looks ? await checkPictures(opened, { looks: true, ...(onProgress && { onProgress }) }) : undefined;
  const there = new Set(opened.pictures.map(({ image }) => image.id));
  const isUsable = (id: number): boolean => there.has(id) && checked?.faulty.has(id) !== true;
  const usable = onlyImages(dataset, isUsable);
  const problems = [...errors, ...(checked?.issues ?? [])];
  if (usable.images.length * 2 < dataset.images.length) throw refusal(problems);
  return {
    dataset: usable,
    problems: problems.map(({ message }) => message),
    together: groupTwins(checked?.marks ?? [], TWIN_BITS),
  };
}

/** A data set with some of its pictures, and their objects. */
export function onlyImages(dataset: Dataset, isKept: (id: number) => boolean): Dataset {
  return {
    ...dataset,
    images: dataset.images.filter(({ id }) => isKept(id)),
    annotations: dataset.annotations.filter(({ imageId }) => isKept(imageId)),
  };
}

function refusal([first, ...others]: readonly DataIssue[]): InputError {
  const more =
    others.length === 0 ? '' : ` (and ${others.length} more ${others.length === 1 ? 'problem' : 'problems'})`;
  const code = first!.code === 'image-missing' ? 'file-not-found' : 'annotation-invalid';
  return new InputError(code, first!.message + more);
}
