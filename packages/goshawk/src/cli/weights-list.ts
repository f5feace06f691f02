// goshawk weights list: the published weights that are known by name, and which of them are here.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  PUBLISHED_AT,
  PUBLISHED_LICENCE,
  type PublishedWeights,
  publishedWeights,
} from '../foreign/torchvision/published-weights.js';
import { PACKAGED_ON, packagedFile, packagedWeights } from '../infer/packaged-weights.js';
import { checksumInName, publishedSize, weightsCacheFolder } from '../infer/weights-cache.js';
import { formatTable } from '../terminal/text-table.js';

export interface WeightsListCommandOptions {
  readonly json?: boolean;
  readonly cache?: string;
}

export function runWeightsList({ json, cache = weightsCacheFolder() }: WeightsListCommandOptions): void {
  const here = (entry: PublishedWeights): string | undefined => {
    const file = join(cache, entry.file);
    return existsSync(file) ? file : undefined;
  };
  if (json) {
    const entries = publishedWeights.map((entry) => ({
      name: entry.name,
      url: `${PUBLISHED_AT}/${entry.file}`,
      bytes: Math.round(entry.mebibytes * 2 ** 20),
      sha256: checksumInName(entry.file),
      licence: PUBLISHED_LICENCE,
      part: entry.part,
      trainedOn: entry.trainedOn,
      parameters: entry.parameters,
      figure: entry.figure,
      config: entry.config,
      set: entry.sets,
      file: here(entry) ?? null,
    }));
    const packaged = packagedWeights.map(({ name, backbone, parameters }) => ({
      name,
      url: null,
      bytes: statSync(packagedFile(name)!).size,
      sha256: null,
      licence: 'MIT',
      part: 'backbone',
      trainedOn: PACKAGED_ON,
      parameters,
      figure: null,
      config: null,
      set: Object.entries(backbone).map(([key, value]) => `model.backbone.${key}=${value}`),
      file: packagedFile(name)!,
    }));
    console.log(JSON.stringify([...packaged, ...entries], undefined, 2));
    return;
  }
  const shown = ({ sets }: PublishedWeights): string =>
    sets.map((set) => ` --set ${set.replace(/^model\.backbone\./, '...')}`).join('');
  const rows = publishedWeights.map((entry) => [
    entry.name,
    publishedSize(entry),
    checksumInName(entry.file)!,
    `${entry.trainedOn}: ${entry.figure}`,
    here(entry) ? 'yes' : '',
    `${entry.config.replace('configs/torchvision/', '')}${shown(entry)}`,
  ]);
  const own = packagedWeights.map(({ name, backbone }) => [
    name,
    `${(statSync(packagedFile(name)!).size / 1e6).toFixed(0)} MB`,
    '',
    PACKAGED_ON,
    'yes',
    Object.entries(backbone)
      .map(([key, value]) => `--set ...${key}=${value}`)
      .join(' '),
  ]);
  console.log(formatTable([['name', 'size', 'SHA-256', 'trained on', 'here', 'config'], ...own, ...rows]));
  console.log(
    [
      `\nfrom ${PUBLISHED_AT}/ under ${PUBLISHED_LICENCE} (torchvision); the data that a file was trained on may bring terms of its own`,
      'configs lie in configs/torchvision/; ... stands for model.backbone.',
      `${packagedWeights.map(({ name }) => name).join(', ')}: in this package, under MIT`,
      `here: in ${cache}; goshawk weights get NAME fetches one, nothing else ever does`,
    ].join('\n'),
  );
}
