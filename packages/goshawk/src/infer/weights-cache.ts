// Published weights by their names, from the folder where `goshawk weights get` puts them. Nothing here asks a server.
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { InputError } from '@goshawk/core';
import { hasChecksum } from '../files/download.js';
import { missingRemedy } from '../files/read-file.js';
import { type PublishedWeights, publishedAs } from '../foreign/torchvision/published-weights.js';
import { packagedAs, packagedFile } from './packaged-weights.js';

/** `goshawk/weights` below XDG_CACHE_HOME, by default ~/.cache; GOSHAWK_WEIGHTS names another folder. */
export function weightsCacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const { GOSHAWK_WEIGHTS, XDG_CACHE_HOME } = environment;
  if (GOSHAWK_WEIGHTS) return GOSHAWK_WEIGHTS;
  return join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'goshawk', 'weights');
}

/** Digits of its SHA-256 at the end of a published file's name; undefined where there are none. */
export function checksumInName(file: string): string | undefined {
  return /-([0-9a-f]{8,64})\.\w+$/.exec(file)?.[1];
}

/** Whether published weights, or such that come with this package, are called that. */
export function isWeightsName(text: string): boolean {
  return publishedAs(text) !== undefined || packagedAs(text) !== undefined;
}

/** Size of a published file in millions of bytes, in words. */
export function publishedSize({ mebibytes }: PublishedWeights): string {
  return `${((mebibytes * 2 ** 20) / 1e6).toFixed(0)} MB`;
}

/**
 * The file that a person means by `text`: a path, or the name of weights that come with this package or, published,
 * lie in the cache.
 * @param where what names it, such as `--init`, at the head of a message
 * @throws InputError where there is none, with the command that gets it where it is published; and where the cache's is damaged
 */
export function findWeights(text: string, where: string): string {
  if (existsSync(text)) return text;
  const packaged = packagedFile(text);
  if (packaged !== undefined) return packaged;
  const published = publishedAs(text);
  if (published === undefined) {
    const isName = /^[\w-]+$/.test(text);
    const names = isName ? ', or take a name that goshawk weights list has' : '';
    throw new InputError('file-not-found', `${text}: no such file: ${missingRemedy(text)}${names}`);
  }
  const { name } = published;
  const folder = weightsCacheFolder();
  const file = join(folder, published.file);
  const get = `goshawk weights get ${name}`;
  if (!existsSync(file))
    throw new InputError(
      'file-not-found',
      `${where} ${text}: is not in ${folder}: get it with ${get} (${publishedSize(published)}), nothing is fetched unasked`,
    );
  const digits = checksumInName(published.file)!;
  if (!hasChecksum(file, digits))
    throw new InputError(
      'checkpoint-invalid',
      `${file}: its SHA-256 does not begin with ${digits}, so it is cut or damaged: remove it and get it anew with ${get}`,
    );
  return file;
}
