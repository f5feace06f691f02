// An export of CVAT, unpacked: annotations.xml and, where pictures were saved too, images/ beside it.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cvatSet, InputError } from '@goshawk/core';
import { readFileChunks } from '../files/read-chunks.js';
import { fileError } from '../files/read-file.js';
import { readHead } from '../files/read-head.js';

export interface CvatFolder {
  readonly file: string;
  readonly content: Uint8Array;
  /** Folder that the pictures' names start from. */
  readonly images: string;
  /** Pictures of a project may lie in folders of their subsets. */
  readonly pictureName: (name: string, subset: string | undefined) => string;
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
    pictureName: (name, subset) => {
      if (subset === undefined || existsSync(join(root, name))) return name;
      const inSubset = `${subset}/${name}`;
      return existsSync(join(root, inSubset)) ? inSubset : name;
    },
  };
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
