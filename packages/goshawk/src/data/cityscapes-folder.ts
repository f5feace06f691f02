// A folder as Cityscapes comes: gtFine/SET/CITY/*_gtFine_instanceIds.png (or *_polygons.json) and
// leftImg8bit/SET/CITY/*_leftImg8bit.png.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CityscapesPicture, drawCityscapesPolygons, InputError, imagePathProblem } from '@goshawk/core';
import { fileError } from '../files/read-file.js';
import { decodeLabelPng } from './label-png.js';

const labelEnding = '_gtFine_instanceIds.png';
const polygonEnding = '_gtFine_polygons.json';

/** Names of the sets that have labels: train, val, test. */
export function cityscapesSets(root: string): string[] {
  return list(join(root, 'gtFine')).sort();
}

/**
 * The labels of one set, each read when its turn comes; cities and files in order of their names.
 * @throws InputError where the set is missing or has no labels; while iterating, where a file cannot be read
 */
export function openCityscapesFolder(root: string, set: string): Iterable<CityscapesPicture> {
  const sets = cityscapesSets(root);
  if (imagePathProblem(set) !== undefined || !sets.includes(set)) {
    throw new InputError(
      'file-not-found',
      `${join(root, 'gtFine', set)}: not found: the sets here are ${sets.join(', ')}`,
    );
  }
  const folder = join(root, 'gtFine', set);
  const labels = list(folder)
    .sort()
    .flatMap((city) => labelFiles(join(folder, city)).map((name) => ({ city, name })));
  if (labels.length === 0) {
    throw new InputError(
      'annotation-invalid',
      `${folder}: has no *${labelEnding} or *${polygonEnding} in its folders: unpack gtFine there`,
    );
  }
  return readAll(folder, set, labels);
}

function* readAll(
  folder: string,
  set: string,
  labels: readonly { readonly city: string; readonly name: string }[],
): Generator<CityscapesPicture> {
  for (const { city, name } of labels) {
    const fileName = join(folder, city, name);
    const base = name.slice(0, name.indexOf('_gtFine_'));
    const image = `${set}/${city}/${base}_leftImg8bit.png`;
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(fileName);
    } catch (error) {
      throw fileError(error, fileName);
    }
    if (name.endsWith(labelEnding)) {
      const { width, height, values } = decodeLabelPng(bytes, fileName);
      yield { fileName, image, width, height, ids: values };
    } else {
      yield drawCityscapesPolygons(bytes, { fileName, image });
    }
  }
}

/** Label pictures, and polygons where a picture has none. */
function labelFiles(folder: string): string[] {
  const names = list(folder);
  const labels = names.filter((name) => name.endsWith(labelEnding));
  const known = new Set(labels.map((name) => name.slice(0, -labelEnding.length)));
  const polygons = names.filter(
    (name) => name.endsWith(polygonEnding) && !known.has(name.slice(0, -polygonEnding.length)),
  );
  return [...labels, ...polygons].sort();
}

/** The visible entries of a folder. */
function list(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => !name.startsWith('.'));
  } catch (error) {
    throw fileError(error, folder);
  }
}
