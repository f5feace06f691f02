// Where the pictures of an annotation file are: in its folder, and by default nowhere else, whatever links lie there.
import { lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, relative, sep } from 'node:path';
import { type DataIssueCode, type ImageRecord, imagePathProblem } from '@goshawk/core';
import { LookAlikes } from '../files/look-alike.js';
import { fileError } from '../files/read-file.js';

export interface PictureFile {
  /** Where the picture is. */
  readonly path: string;
  /** Why it is not to be opened: the rest of a sentence about the picture, with what to do. */
  readonly problem?: { readonly code: DataIssueCode; readonly text: string };
}

/**
 * Finds a record's picture, by its name or, where nothing is called so, the one file whose name looks the same. It must exist and, unless links are followed, lie in `folder` when every link is resolved:
 * annotation files are other people's, and do not get to name any file of this machine.
 * @throws InputError where the folder itself cannot be opened
 */
export function pictureLocator(
  folder: string,
  { followLinks = false }: { readonly followLinks?: boolean } = {},
): (record: Pick<ImageRecord, 'fileName'>) => PictureFile {
  let root: string;
  try {
    root = realpathSync(folder);
  } catch (error) {
    throw fileError(error, folder);
  }
  const realFolders = new Map<string, string>();
  const lookAlikes = new LookAlikes();
  const resolved = (path: string) => {
    const parent = dirname(path);
    let realParent = realFolders.get(parent);
    if (realParent === undefined) {
      realParent = realpathSync(parent);
      realFolders.set(parent, realParent);
    }
    let real = join(realParent, basename(path));
    let status = lstatSync(real);
    if (status.isSymbolicLink()) {
      real = realpathSync(real);
      status = lstatSync(real);
    }
    return { path, real, isFolder: status.isDirectory() };
  };
  const openable = (fileName: string) => {
    try {
      return resolved(join(folder, fileName));
    } catch (error) {
      const other = isMissing(error) ? lookAlikes.find(folder, fileName) : undefined;
      if (other === undefined) throw error;
      return resolved(join(folder, other));
    }
  };
  const isInside = (path: string) => {
    const below = relative(root, path);
    return below !== '..' && !below.startsWith(`..${sep}`) && !isAbsolute(below);
  };
  return ({ fileName }) => {
    const path = join(folder, fileName);
    const refuse = (code: DataIssueCode, text: string): PictureFile => ({
      path,
      problem: { code, text: `file_name "${fileName}" ${text}` },
    });
    const unsafe = imagePathProblem(fileName);
    if (unsafe !== undefined) return refuse('unsafe-path', unsafe);
    try {
      const { path, real, isFolder } = openable(fileName);
      if (!followLinks && !isInside(real))
        return refuse(
          'link-outside',
          `is a link that leads outside of ${folder}, and an annotation file is not to name any file of this machine: ` +
            'put the picture itself there, or allow it with data.followLinks (--follow-links) where you made the link',
        );
      if (isFolder) return refuse('image-missing', 'is a folder (expected a picture): correct file_name');
      return { path };
    } catch (error) {
      return {
        path,
        problem: { code: 'image-missing', text: `${fileError(error, path).message} or the image folder ${folder}` },
      };
    }
  };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
