// Which pictures of a data set are one another's twins, for splits that must not part them.
import type { DataIssue, Dataset } from '@goshawk/core';
import { checkPictures } from './check-pictures.js';
import { openDataset } from './dataset.js';
import { groupTwins } from './duplicate-pictures.js';

/** Bits of 64 in which the hashes of twins differ at most, as in `data check --near-duplicates`. */
export const TWIN_BITS = 4;

export interface Twins {
  /** Ids of pictures that are the same or look alike, a list for each kind. */
  readonly together: readonly (readonly number[])[];
  /** Of the pictures that were looked at. */
  readonly issues: readonly DataIssue[];
}

/** Looks at every picture. @throws InputError where one is missing */
export async function findTwins(
  dataset: Dataset,
  files: { readonly annotations: string; readonly images: string },
  onProgress?: (done: number, total: number) => void,
): Promise<Twins> {
  const opened = openDataset(dataset, files, { purpose: 'evaluation' });
  const { marks, issues } = await checkPictures(opened, { looks: true, ...(onProgress && { onProgress }) });
  return { together: groupTwins(marks, TWIN_BITS), issues };
}
