// goshawk data merge: several data sets as one COCO file.
import { relative, resolve, sep } from 'node:path';
import { type Dataset, formatCoco, InputError, mergeDatasets } from '@goshawk/core';
import { readAnnotations } from '../data/annotation-files.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { commonFolder } from '../files/common-folder.js';
import { requireNotInput, requireWritableFile } from '../files/output-folder.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';

export interface DataMergeCommandOptions {
  readonly output: string;
  /** One for all files, or one each. */
  readonly images?: readonly string[];
}

export function runDataMerge(files: readonly string[], options: DataMergeCommandOptions): void {
  const { output, images = [] } = options;
  if (!/\.json$/i.test(output)) throw new InputError('usage', `--output ${output}: must be a .json file: correct it`);
  if (images.length > 1 && images.length !== files.length)
    throw new InputError(
      'usage',
      `--images: ${images.length} folders for ${files.length} files: give one for all, or one for each in their order`,
    );
  requireNotInput([output], files);
  requireWritableFile(output);
  const parts = files.map((file, index) => {
    const folder = images[images.length === 1 ? 0 : index];
    const source = { annotations: file, ...(folder === undefined ? {} : { images: folder }) };
    const read = readAnnotations(source, { purpose: 'evaluation', requireFiles: true });
    for (const { message } of read.warnings) console.error(`warning: ${message}`);
    if (read.images === undefined)
      throw new InputError(
        'usage',
        `${file}: does not say where its pictures are: give --images, one for all or once for each`,
      );
    return { name: file, dataset: read.dataset, images: resolve(read.images) };
  });
  const root = commonFolder(parts.map((part) => part.images));
  const merged = mergeDatasets(
    parts.map(({ name, dataset, images: folder }) => ({ name, dataset: below(dataset, relative(root, folder)) })),
  );
  endTidilyOnSignals();
  writeFileAtomic(output, formatCoco(merged.dataset));
  const { dataset, sharedImages, sameObjects } = merged;
  if (sharedImages > 0) console.log(`${sharedImages} pictures are in several files: their objects are together now`);
  if (sameObjects > 0) console.log(`${sameObjects} objects are in several files and stand once`);
  console.log(
    `${output}: ${dataset.images.length} images, ${dataset.annotations.length} annotations, ${dataset.categories.length} categories; its file names start from ${root}`,
  );
}

function below(dataset: Dataset, folder: string): Dataset {
  if (folder === '') return dataset;
  const prefix = folder.split(sep).join('/');
  return {
    ...dataset,
    images: dataset.images.map((image) => ({ ...image, fileName: `${prefix}/${image.fileName}` })),
  };
}
