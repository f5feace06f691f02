// goshawk weights get: fetches published weights into the cache, checked before they get their name there.
import { existsSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { InputError } from '@goshawk/core';
import { type Download, download, hasChecksum } from '../files/download.js';
import { claimOutput } from '../files/output-folder.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import {
  PUBLISHED_AT,
  PUBLISHED_LICENCE,
  type PublishedWeights,
  publishedAs,
  publishedWeights,
} from '../foreign/torchvision/published-weights.js';
import { packagedFile } from '../infer/packaged-weights.js';
import { checksumInName, weightsCacheFolder } from '../infer/weights-cache.js';
import { createProgressLine, formatBytes, formatDuration } from '../terminal/progress-line.js';

export interface WeightsGetCommandOptions {
  readonly cache?: string;
  /** Base address in place of torchvision's; default: GOSHAWK_WEIGHTS_MIRROR, where that is set. */
  readonly mirror?: string;
}

/** @param name of published weights, or the address of a file that carries digits of its SHA-256 in its name */
export async function runWeightsGet(name: string, options: WeightsGetCommandOptions): Promise<void> {
  const packaged = packagedFile(name);
  if (packaged !== undefined) {
    console.log(`${packaged}: comes with this package, nothing is fetched: use it by --init ${name}`);
    return;
  }
  const cache = options.cache ?? weightsCacheFolder();
  const published = publishedAs(name);
  const what = published ? publishedDownload(published, cache, options.mirror) : addressDownload(name, cache);
  const { file, sha256 } = what;
  if (existsSync(file)) {
    if (hasChecksum(file, sha256)) {
      console.log(`${file}: is there already, ${formatBytes(statSync(file).size)}, SHA-256 checked`);
      tellUse(published, file, options);
      return;
    }
    console.error(`warning: ${file}: its SHA-256 does not begin with ${sha256}: it is fetched anew`);
  }
  endTidilyOnSignals();
  const claim = claimOutput(cache, { work: 'goshawk weights get', files: [basename(file)] });
  const line = createProgressLine();
  try {
    // Only now that nobody else is at work there.
    if (existsSync(file) && !hasChecksum(file, sha256)) rmSync(file);
    await download(what, { onProgress: progressOf(basename(file), (text) => line.update(text)) });
  } finally {
    line.done();
    claim.release();
  }
  console.log(`${file}: ${formatBytes(statSync(file).size)}, SHA-256 checked`);
  tellUse(published, file, options);
}

function publishedDownload(published: PublishedWeights, cache: string, option: string | undefined): Download {
  const mirror = option ?? process.env.GOSHAWK_WEIGHTS_MIRROR;
  const base = mirror
    ? requireAddress(mirror, option === undefined ? 'GOSHAWK_WEIGHTS_MIRROR' : '--mirror')
    : undefined;
  const { file, mebibytes } = published;
  return {
    url: `${base?.href.replace(/\/+$/, '') ?? PUBLISHED_AT}/${file}`,
    file: join(cache, file),
    sha256: checksumInName(file)!,
    // The list has three decimals.
    size: { bytes: mebibytes * 2 ** 20, within: 0.0005 * 2 ** 20 + 1 },
  };
}

function addressDownload(name: string, cache: string): Download {
  if (!/^https?:\/\//i.test(name)) throw unknownName(name);
  const url = requireAddress(name, 'weights get');
  const file = basename(decodeURIComponent(url.pathname));
  const sha256 = checksumInName(file);
  if (sha256 === undefined)
    throw new InputError(
      'usage',
      `${name}: its name does not end with digits of its SHA-256 (expected NAME-0123abcd.pth), so it could not be checked: fetch it by other means and name the file`,
    );
  return { url: url.href, file: join(cache, file), sha256 };
}

function requireAddress(text: string, where: string): URL {
  if (URL.canParse(text)) {
    const url = new URL(text);
    if (url.protocol === 'https:' || url.protocol === 'http:') return url;
  }
  throw new InputError('usage', `${where} ${text}: is no address (expected https://... or http://...): correct it`);
}

function unknownName(name: string): InputError {
  const words = name.toLowerCase().split(/[^a-z0-9]+/);
  const alike = publishedWeights
    .map((entry) => ({ name: entry.name, shared: words.filter((word) => entry.name.split('_').includes(word)).length }))
    .filter(({ shared }) => shared > 0)
    .sort((a, b) => b.shared - a.shared)
    .slice(0, 3)
    .map((entry) => entry.name);
  const remedy = alike.length > 0 ? `did you mean ${alike.join(', ')}? All: ` : 'take one of ';
  return new InputError('usage', `${name}: no such weights are known: ${remedy}goshawk weights list`);
}

/** `resnet18-f37072fd.pth: 12 of 47 MB, 3.1 MB/s, 0:11 left` */
export function progressOf(
  name: string,
  show: (text: string) => void,
  now: () => number = () => performance.now(),
): (done: number, total: number | undefined) => void {
  let start: { readonly time: number; readonly done: number } | undefined;
  return (done, total) => {
    start ??= { time: now(), done };
    const seconds = (now() - start.time) / 1000;
    const rate = seconds > 0 ? (done - start.done) / seconds : 0;
    const part = total === undefined ? formatBytes(done) : `${formatBytes(done)} of ${formatBytes(total)}`;
    const speed = rate > 0 ? `, ${formatBytes(rate)}/s` : '';
    const left = rate > 0 && total !== undefined ? `, ${formatDuration((total - done) / rate)} left` : '';
    show(`${name}: ${part}${speed}${left}`);
  };
}

function tellUse(published: PublishedWeights | undefined, file: string, { cache }: WeightsGetCommandOptions): void {
  if (published === undefined) return;
  const { config, sets, part } = published;
  const weights = cache === undefined ? published.name : file;
  const set = sets.map((own) => ` --set ${own}`).join('');
  console.log(
    part === 'detector'
      ? `use it: goshawk predict ${config}${set} --weights ${weights} photos/`
      : `use it: goshawk train ${config}${set} --init ${weights}`,
  );
  console.log(
    `licence: ${PUBLISHED_LICENCE} (torchvision); it was trained on ${published.trainedOn}, whose terms may bind too`,
  );
}
