// An export of CVAT, unpacked: annotations.xml and, where pictures were saved too, images/ beside it.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, relative, sep } from 'node:path';
import { type CvatFrames, type CvatOptions, cvatSet, InputError } from '@goshawk/core';
import { readFileChunks } from '../files/read-chunks.js';
import { fileError } from '../files/read-file.js';
import { readHead } from '../files/read-head.js';
import { foldersIn, isHidden } from '../files/visible-entries.js';
import { isPictureName } from './picture-names.js';
import { shownSize } from './shown-size.js';

export interface CvatFolder {
  readonly file: string;
  readonly content: Uint8Array;
  /** Folder that the pictures' names start from. */
  readonly images: string;
  /** Where the pictures are, for `parseCvat`. */
  readonly options: Pick<CvatOptions, 'fileName' | 'pictureName' | 'frames'>;
}

/**
 * @param path the XML file, or a folder with one
 * @param images folder of the pictures; default: images/ beside the file, else the file's folder
 */
export function openCvatFolder(path: string, images?: string): CvatFolder {
  const file = cvatFileIn(path);
  if (file === undefined)
    throw new InputError('annotation-invalid', `${path}: has no XML file of CVAT: name the annotations.xml`);
  const beside = join(dirname(file), 'images');
  const root = images ?? (existsSync(beside) ? beside : dirname(file));
  return {
    file,
    content: readBytes(file),
    images: root,
    options: { fileName: file, pictureName: pictureFinder(root), frames: framesIn(root) },
  };
}

/** Pictures of a project may lie in folders of their subsets; those of a film are named without their ending. */
function pictureFinder(root: string): NonNullable<CvatOptions['pictureName']> {
  const listed = new Map<string, ReadonlyMap<string, string>>();
  const withEnding = (name: string): string | undefined => {
    const folder = join(root, dirname(name));
    let byName = listed.get(folder);
    if (byName === undefined) {
      byName = new Map(picturesIn(folder).map((picture) => [bare(picture), picture]));
      listed.set(folder, byName);
    }
    const found = byName.get(basename(name));
    return found && [...name.split('/').slice(0, -1), found].join('/');
  };
  return (name, subset) => {
    const candidates = subset === undefined ? [name] : [name, `${subset}/${name}`];
    const there = candidates.find((candidate) => existsSync(join(root, candidate)));
    return there ?? (isPictureName(name) ? name : (candidates.map(withEnding).find(Boolean) ?? name));
  };
}

/** The frames of a film as CVAT saves them, frame_000000.PNG, in the folder or in one of a project's subsets in it. */
function framesIn(root: string): CvatFrames {
  const pictures = new Map<number, string>();
  for (const folder of [root, ...(existsSync(root) ? foldersIn(root) : [])]) {
    for (const name of picturesIn(folder)) {
      const frame = /^frame_(\d+)$/i.exec(bare(name))?.[1];
      if (frame !== undefined && !pictures.has(Number(frame)))
        pictures.set(Number(frame), relative(root, join(folder, name)).split(sep).join('/'));
    }
  }
  return {
    pictures: new Map([...pictures].sort(([a], [b]) => a - b)),
    sizeOf: (fileName) => shownSize(join(root, fileName)),
    folder: root,
  };
}

function picturesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => isPictureName(name) && !isHidden(name))
    .sort();
}

function bare(name: string): string {
  return name.slice(0, name.length - extname(name).length);
}

/** Names of the subsets of a project, as sets are called; none for a task. */
export function cvatSets(path: string): string[] {
  const file = cvatFileIn(path);
  if (file === undefined) return [];
  const sets = new Set<string>();
  const decoder = new TextDecoder();
  let rest = '';
  for (const chunk of readFileChunks(file)) {
    const text = rest + decoder.decode(chunk, { stream: true });
    for (const [, subset] of text.matchAll(/<image\s[^>]*?\bsubset="([^"]*)"/g)) if (subset) sets.add(cvatSet(subset));
    // A tag may go on in the next chunk.
    const open = text.lastIndexOf('<');
    rest = open < 0 || text.includes('>', open) ? '' : text.slice(open);
  }
  return [...sets].sort();
}

/** Whether an XML file is of CVAT, by its outermost element: VOC's is called annotation. */
export function isCvatFile(path: string): boolean {
  return /<annotations[\s>]/.test(readHead(path, 4096).head);
}

/** The file itself, or the one in a folder; undefined where there is none. */
export function cvatFileIn(path: string): string | undefined {
  if (!statSync(path).isDirectory()) return isCvatFile(path) ? path : undefined;
  const names = readdirSync(path).filter((name) => /\.xml$/i.test(name));
  // An export has one file; a folder of many is VOC's.
  if (names.length > 3) return undefined;
  return names.map((name) => join(path, name)).find((file) => statSync(file).isFile() && isCvatFile(file));
}

function readBytes(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw fileError(error, file);
  }
}
