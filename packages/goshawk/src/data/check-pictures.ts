// Every picture of a data set, decoded as training and evaluation decode it.
import { type DataIssue, DataIssueList, InputError } from '@goshawk/core';
import { readInputFile } from '../files/read-file.js';
import type { DetectionDataset } from './dataset.js';
import { decodeImage, largestFile, readImageHeader } from './decode-image.js';
import { digestOf, type PictureMark, pictureLook } from './duplicate-pictures.js';
import { pictureSizeProblem } from './picture-size.js';

export interface CheckPicturesOptions {
  /** Also what each looks like, for near duplicates. Default false. */
  readonly looks?: boolean;
  /** Called after every picture. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface CheckedPictures {
  readonly issues: readonly DataIssue[];
  /** Ids of those that an issue is about. */
  readonly faulty: ReadonlySet<number>;
  /** Of each that could be read, in the order of the data set. */
  readonly marks: readonly PictureMark[];
}

/** Four at a time: each holds its pixels only while it is looked at. */
export async function checkPictures(
  { fileName, pictures, exifOrientation }: Pick<DetectionDataset, 'fileName' | 'exifOrientation' | 'pictures'>,
  { looks = false, onProgress }: CheckPicturesOptions = {},
): Promise<CheckedPictures> {
  const found: { issues: readonly DataIssue[]; mark?: PictureMark }[] = [];
  let next = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (next < pictures.length) {
      const turn = next++;
      const { image, path, index } = pictures[turn]!;
      const issues = new DataIssueList(fileName);
      const add = (code: 'image-missing' | 'image-damaged' | 'image-size', text: string): void =>
        issues.error(code, `images[${index}]`, text, `image id ${image.id}`);
      try {
        const bytes = await readInputFile(path, path, largestFile);
        const digest = digestOf(bytes);
        const decoded = await decodeImage(bytes, path, { exifOrientation });
        const { orientation } = await readImageHeader(path);
        const problem = pictureSizeProblem(image, { ...decoded, orientation }, exifOrientation);
        if (problem !== undefined) add('image-size', `${path} ${problem}`);
        found[turn] = {
          issues: issues.issues,
          mark: { fileName, image, path, digest, ...(looks && { look: pictureLook(decoded) }) },
        };
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        add(error.code === 'file-not-found' ? 'image-missing' : 'image-damaged', error.message);
        found[turn] = { issues: issues.issues };
      }
      onProgress?.(++done, pictures.length);
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  return {
    issues: found.flatMap(({ issues }) => issues),
    faulty: new Set(pictures.flatMap(({ image }, turn) => (found[turn]!.issues.length > 0 ? [image.id] : []))),
    marks: found.flatMap(({ mark }) => (mark === undefined ? [] : [mark])),
  };
}
