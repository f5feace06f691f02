// goshawk data split: one data set in parts, a COCO file each.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Dataset, formatCoco, InputError, type SplitPart, splitDataset } from '@goshawk/core';
import { readAnnotations } from '../data/annotation-files.js';
import { findTwins, type Twins } from '../data/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { requireNotInput, requireWritableFile } from '../files/output-folder.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { countPictures, createProgressLine } from '../terminal/progress-line.js';
import { formatTable } from '../terminal/text-table.js';
import { type AnnotationCommandOptions, annotationSource } from './annotation-options.js';
import { wholeNumber } from './parse-option.js';

export interface DataSplitCommandOptions extends AnnotationCommandOptions {
  readonly output: string;
  readonly parts: string;
  readonly seed: string;
}

export async function runDataSplit(file: string, options: DataSplitCommandOptions): Promise<void> {
  const parts = parseParts(options.parts);
  const seed = wholeNumber('--seed', options.seed, 0, 0xffffffff);
  const outputs = parts.map(({ name }) => join(options.output, `${name}.json`));
  requireNotInput(outputs, [file]);
  for (const output of outputs) requireWritableFile(output);
  const { dataset, images, warnings } = readAnnotations(annotationSource(file, options), {
    purpose: 'evaluation',
    requireFiles: true,
  });
  for (const { message } of warnings) console.error(`warning: ${message}`);
  const together = images === undefined || !existsSync(images) ? undefined : await twinsOf(file, images, dataset);
  if (together === undefined)
    console.error('warning: the pictures were not looked at, and twins may be in different parts: give --images');
  const split = splitDataset(dataset, { parts, seed, ...(together ? { together } : {}) });
  endTidilyOnSignals();
  for (const { name, dataset: part } of split) writeFileAtomic(join(options.output, `${name}.json`), formatCoco(part));
  const rows = dataset.categories.map(({ id, name }) => [
    name,
    ...split.map(({ dataset: part }) => part.annotations.filter(({ categoryId }) => categoryId === id).length),
  ]);
  const pictures = ['(pictures)', ...split.map(({ dataset: part }) => part.images.length)];
  console.log(formatTable([['objects', ...split.map(({ name }) => name)], ...rows, pictures]));
  if (together && together.length > 0)
    console.log(`${together.flat().length} pictures look like others: each kind of ${together.length} is in one part`);
  const from = images === undefined ? '' : `; file names start from ${images}`;
  console.log(`${options.output}: ${split.map(({ name }) => `${name}.json`).join(', ')}${from}`);
}

async function twinsOf(file: string, images: string, dataset: Dataset): Promise<Twins['together']> {
  const line = createProgressLine();
  const { together, issues } = await findTwins(
    dataset,
    { annotations: file, images },
    countPictures(line, 'looking at'),
  );
  line.done();
  for (const { message } of issues) console.error(`warning: ${message}`);
  return together;
}

/** `train=0.8,val=0.2` */
function parseParts(text: string): SplitPart[] {
  const parts = text.split(',').map((part) => {
    const match = /^([A-Za-z0-9_-]+)=(0?\.\d+|\d+%)$/.exec(part.trim());
    if (match === null)
      throw new InputError('usage', `--parts ${text}: expected names and shares such as train=0.8,val=0.2`);
    const share = match[2]!.endsWith('%') ? Number.parseInt(match[2]!, 10) / 100 : Number(match[2]);
    return { name: match[1]!, share };
  });
  if (new Set(parts.map(({ name }) => name)).size < parts.length)
    throw new InputError('usage', `--parts ${text}: a name stands twice: name each part once`);
  const total = parts.reduce((sum, { share }) => sum + share, 0);
  if (Math.abs(total - 1) > 1e-6 || parts.some(({ share }) => share === 0))
    throw new InputError(
      'usage',
      `--parts ${text}: shares must be above 0 and add up to 1, these to ${total}: correct them`,
    );
  return parts;
}
