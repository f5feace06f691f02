// Pictures that are not files: a program gives their bytes or their pixels.
import type { RgbImage } from '@goshawk/core';
import type { PlannedPicture } from './augment/planned-picture.js';
import { decodeImage } from './decode-image.js';

/** The bytes of a picture file (JPEG, PNG, WebP, GIF, TIFF, AVIF), or pixels. */
export type PictureContent = Uint8Array | RgbImage;

/** Pictures that are not files, by their path. */
export type LoadedPictures = Readonly<Record<string, PictureContent>>;

/**
 * What a plan needs of a data set's pictures, its partners' included.
 * @throws InputError where one cannot be loaded
 */
export async function loadPictures(
  load: (path: string) => Promise<PictureContent>,
  plan: Pick<PlannedPicture, 'path' | 'steps'>,
): Promise<LoadedPictures> {
  const paths = [...new Set(pathsOf(plan))];
  return Object.fromEntries(await Promise.all(paths.map(async (path) => [path, await load(path)] as const)));
}

function pathsOf({ path, steps = [] }: Pick<PlannedPicture, 'path' | 'steps'>): string[] {
  const others = steps.flatMap((step) =>
    step.kind === 'mosaic' ? step.others : step.kind === 'mixup' ? [step.other] : [],
  );
  return [path, ...others.flatMap(pathsOf)];
}

/** A copy, which may be written to. @throws InputError where it is no picture */
export async function decodeContent(
  content: PictureContent,
  name: string,
  options: { readonly exifOrientation?: 'apply' | 'ignore' } = {},
): Promise<RgbImage> {
  if (content instanceof Uint8Array) return decodeImage(content, name, options);
  return { ...content, data: content.data.slice() };
}
