// Which files the names of data sets and weights stand for: maskrcnn-benchmark's own (config/paths_catalog.py), below a root,
// and a user's, in one small YAML file in place of the Python file that the original takes.
import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { InputError } from '@goshawk/core';
import { z } from 'zod';
import { type AnnotationFormat, annotationFormats } from '../../config/index.js';
import { readYaml } from '../../config/yaml-document.js';
import { fileError } from '../../files/read-file.js';

/** A split of ours, as far as the catalog knows it. */
export interface CatalogEntry {
  readonly annotations: string;
  readonly images?: string | undefined;
  readonly format?: AnnotationFormat | undefined;
  readonly set?: string | undefined;
}

export interface PathsCatalog {
  /** Of every data set by its name, below the root. */
  readonly datasets: ReadonlyMap<string, CatalogEntry>;
  /** Of weights by their `catalog://` name: files. */
  readonly weights: ReadonlyMap<string, string>;
}

const coco = (images: string, annotations: string): CatalogEntry => ({
  annotations: `coco/annotations/${annotations}.json`,
  images: `coco/${images}`,
});

const cocoSplits: readonly (readonly [name: string, folder: string])[] = [
  ['2017_train', 'train2017'],
  ['2017_val', 'val2017'],
  ['2014_train', 'train2014'],
  ['2014_val', 'val2014'],
  ['2014_minival', 'val2014'],
  ['2014_valminusminival', 'val2014'],
];

/** `2014_minival` -> `minival2014`. */
const fileEnding = (name: string): string => name.replace(/^(\d+)_(\w+)$/, '$2$1');

function vocEntries(): (readonly [string, CatalogEntry])[] {
  const splits = [
    ['2007', 'train'],
    ['2007', 'val'],
    ['2007', 'test'],
    ['2012', 'train'],
    ['2012', 'val'],
    ['2012', 'test'],
  ] as const;
  return splits.flatMap(([year, split]) => {
    const folder = `voc/VOC${year}`;
    const own = [`voc_${year}_${split}`, { annotations: folder, format: 'voc', set: split }] as const;
    // VOC 2012's test annotations are not published.
    if (year === '2012' && split === 'test') return [own];
    const files = {
      annotations: `${folder}/Annotations/pascal_${split}${year}.json`,
      images: `${folder}/JPEGImages`,
      format: 'coco',
    } as const;
    return [own, [`voc_${year}_${split}_cocostyle`, files] as const];
  });
}

function cityscapesEntries(): (readonly [string, CatalogEntry])[] {
  const cocoStyle = ['train', 'val', 'test'].map(
    (split) =>
      [
        `cityscapes_fine_instanceonly_seg_${split}_cocostyle`,
        {
          annotations: `cityscapes/annotations/instancesonly_filtered_gtFine_${split}.json`,
          images: 'cityscapes/images',
        },
      ] as const,
  );
  const folders = ['poly', 'mask'].flatMap((mode) =>
    ['train', 'val'].map(
      (split) =>
        [
          `cityscapes_${mode}_instance_${split}`,
          { annotations: 'cityscapes', format: 'cityscapes', set: split },
        ] as const,
    ),
  );
  return [...cocoStyle, ...folders];
}

const builtIn: ReadonlyMap<string, CatalogEntry> = new Map([
  ...cocoSplits.map(([name, folder]) => [`coco_${name}`, coco(folder, `instances_${fileEnding(name)}`)] as const),
  ...['train', 'val', 'minival', 'valminusminival'].map(
    (split) =>
      [
        `keypoints_coco_2014_${split}`,
        coco(split === 'train' ? 'train2014' : 'val2014', `person_keypoints_${split}2014`),
      ] as const,
  ),
  // Not in the original: what its 2014 sets of keypoints make together.
  ['keypoints_coco_2017_train', coco('train2017', 'person_keypoints_train2017')] as const,
  ['keypoints_coco_2017_val', coco('val2017', 'person_keypoints_val2017')] as const,
  ...vocEntries(),
  ...cityscapesEntries(),
]);

const DEFAULT_ROOT = 'datasets';

const path = z.string().min(1).max(4096);

const fileSchema = z.strictObject({
  root: path.default(DEFAULT_ROOT),
  datasets: z
    .record(
      z.string(),
      z.strictObject({
        annotations: path,
        images: path.optional(),
        format: z.enum(annotationFormats).optional(),
        set: path.optional(),
      }),
    )
    .default({}),
  weights: z.record(z.string(), path).default({}),
});

/**
 * @param file the value of PATHS_CATALOG; '': the built-in names alone
 * @throws InputError where the file cannot be read, or is not of the form that docs/maskrcnn-benchmark.md describes
 */
export function readPathsCatalog(file: string): PathsCatalog {
  const own = file === '' ? fileSchema.parse({}) : readCatalogFile(file);
  const below = (name: string): string => (isAbsolute(name) ? name : join(own.root, name));
  const entries = [...builtIn, ...Object.entries(own.datasets)].map(
    ([name, { images, annotations, ...rest }]) =>
      [
        name,
        { annotations: below(annotations), ...(images !== undefined && { images: below(images) }), ...rest },
      ] as const,
  );
  return { datasets: new Map(entries), weights: new Map(Object.entries(own.weights)) };
}

function readCatalogFile(file: string): z.output<typeof fileSchema> {
  if (file.endsWith('.py')) {
    const form = '{root: datasets, datasets: {NAME: {annotations: FILE, images: FOLDER}}}';
    throw new InputError(
      'config-invalid',
      `PATHS_CATALOG: ${file} is a Python file, which is not run: write its names into a YAML file, ${form}`,
    );
  }
  const { document, error } = readYaml(readText(file), '1.2');
  if (error !== undefined) throw new InputError('config-invalid', `${file}:${error.line}: ${error.message}`);
  const parsed = fileSchema.safeParse(document.toJS() ?? {});
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const place = issue.path.length === 0 ? '' : ` ${issue.path.join('.')}:`;
  throw new InputError(
    'config-invalid',
    `${file}:${place} ${issue.message.charAt(0).toLowerCase()}${issue.message.slice(1)}: expected root, datasets and weights as in docs/maskrcnn-benchmark.md`,
  );
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw fileError(error, file);
  }
}

/** COCO's 2014 train and valminusminival sets together are its 2017 train set: its name, where the names are those two. */
export function unionOf(names: readonly string[]): string | undefined {
  const union = /^((?:keypoints_)?coco)_2014_train \1_2014_valminusminival$/.exec(names.join(' '));
  return union === null ? undefined : `${union[1]}_2017_train`;
}

/** Where weights named in the catalog are looked for. */
const WEIGHTS_FOLDER = 'data/pretrained_model';

/** The file that a `catalog://` name stands for: the user's, else the last part of the name in a folder of this project's. */
export function catalogWeights(name: string, { weights }: PathsCatalog): string {
  return weights.get(name) ?? `${WEIGHTS_FOLDER}/${name.slice(name.lastIndexOf('/') + 1)}.pkl`;
}
