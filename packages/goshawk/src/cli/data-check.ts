// goshawk data check: what training and evaluation will do with annotation files and, when asked, with their pictures.
import {
  type DataIssue,
  type DataIssueCode,
  DataIssueList,
  type DataRule,
  dataRules,
  InputError,
  matchCategories,
} from '@goshawk/core';
import { parseConfig, type RunConfig } from '../config/index.js';
import {
  annotationFormat,
  checkForEvaluation,
  checkPictures,
  type DetectionDataset,
  examineSplitDataset,
  findDuplicates,
  hasMask,
  type PictureMark,
} from '../data/index.js';
import { openConfig } from '../foreign/open-config.js';
import { splitOptions } from '../infer/split-options.js';
import { detectorKind } from '../models/kinds.js';
import { createProgressLine, formatDuration } from '../terminal/progress-line.js';
import { annotationSource } from './annotation-options.js';
import { wholeNumber } from './parse-option.js';

export interface DataCheckCommandOptions {
  readonly imageSet?: string;
  readonly classes?: string;
  /** One for all files, or one each. */
  readonly images?: readonly string[];
  /** A config whose model and `data` settings are asked. */
  readonly for?: string;
  /** A type of model, instead of a config. */
  readonly model?: string;
  /** As `model` mask_rcnn. */
  readonly masks?: boolean;
  /** Default training. */
  readonly purpose?: string;
  readonly followLinks?: boolean;
  /** Most bits of 64 in which near duplicates differ; true: the default. */
  readonly nearDuplicates?: string | true;
  readonly json?: boolean;
}

const DEFAULT_NEAR_BITS = 4;

/** Of one file. */
interface CheckedFile {
  readonly file: string;
  readonly issues: readonly DataIssue[];
  /** What an evaluation would stop at, where the check is for training. */
  readonly evaluation: readonly DataIssue[];
  readonly opened?: DetectionDataset;
  readonly picturesChecked: number;
}

/** Prints the issues; sets the exit code 1 when an error is among them. */
export async function runDataCheck(files: readonly string[], options: DataCheckCommandOptions): Promise<void> {
  const purpose = purposeOf(options.purpose);
  const { images = [] } = options;
  if (images.length > 1 && images.length !== files.length)
    throw new InputError(
      'usage',
      `--images: ${images.length} folders for ${files.length} files: give one for all, or one for each in their order`,
    );
  const near =
    options.nearDuplicates === undefined
      ? undefined
      : options.nearDuplicates === true
        ? DEFAULT_NEAR_BITS
        : wholeNumber('--near-duplicates', options.nearDuplicates, 0, 16);
  const config = configFor(options);
  const marks: PictureMark[] = [];
  const checked: CheckedFile[] = [];
  for (const [index, file] of files.entries()) {
    const folder = images[images.length === 1 ? 0 : index];
    const one = checkAnnotationsOf(file, folder, config, purpose, options);
    if (one.opened === undefined || folder === undefined) {
      checked.push({ file, ...one, picturesChecked: 0 });
      continue;
    }
    const line = createProgressLine();
    const started = performance.now();
    const pictures = await checkPictures(one.opened, {
      looks: near !== undefined,
      onProgress: (done, total) => {
        const rate = done / ((performance.now() - started) / 1000);
        line.update(
          `decoding ${done}/${total}  ${rate.toFixed(1)} images/s  ${formatDuration((total - done) / rate)} left`,
        );
      },
    });
    line.done();
    marks.push(...pictures.marks);
    checked.push({
      file,
      ...one,
      issues: [...one.issues, ...pictures.issues],
      picturesChecked: one.opened.pictures.length,
    });
  }
  const across = [...findDuplicates(marks, near), ...differingCategories(checked)];
  const reports = checked.map((one) => ({ ...one, issues: [...one.issues, ...across.filter(isOf(one.file))] }));
  if (reports.some(({ issues }) => issues.some(isError))) process.exitCode = 1;
  if (options.json) {
    const [first] = reports;
    const shown = reports.map(asJson);
    console.log(JSON.stringify(files.length === 1 && first ? asJson(first) : { files: shown }, undefined, 2));
    return;
  }
  for (const report of reports) print(report, images.length > 0);
}

function configFor(options: DataCheckCommandOptions): RunConfig | undefined {
  const { for: file, model = options.masks ? 'mask_rcnn' : undefined } = options;
  if (file !== undefined && model !== undefined)
    throw new InputError('usage', '--for and --model: the config names its model: give one of them');
  if (file !== undefined) {
    const { config, notices } = openConfig(file);
    for (const notice of notices) console.error(`notice: ${notice}`);
    return config;
  }
  return model === undefined ? undefined : parseConfig(`model: {type: ${JSON.stringify(model)}}`, { file: '--model' });
}

function purposeOf(word = 'training'): 'training' | 'evaluation' {
  if (word === 'training' || word === 'evaluation') return word;
  throw new InputError('usage', `--purpose ${word}: unknown: use training or evaluation`);
}

function checkAnnotationsOf(
  file: string,
  folder: string | undefined,
  config: RunConfig | undefined,
  purpose: 'training' | 'evaluation',
  options: DataCheckCommandOptions,
): Pick<CheckedFile, 'issues' | 'evaluation' | 'opened'> {
  const { imageSet, classes } = options;
  const source = annotationSource(file, { imageSet, classes, images: folder });
  const model = config ?? parseConfig('model: {type: faster_rcnn}', { file: '--model' });
  const asked = splitOptions(model, 'train', purpose);
  const { issues, opened } = examineSplitDataset(
    { ...source, format: annotationFormat(source) },
    {
      ...asked,
      train: undefined,
      limit: undefined,
      isWhole: true,
      followLinks: options.followLinks || asked.followLinks,
    },
  );
  if (opened === undefined) return { issues, evaluation: [] };
  const { measuredBy } = detectorKind(model.model);
  const needs = {
    measuredBy,
    keypoints: purpose === 'training' && opened.keypointCount > 0 ? opened.keypointCount : undefined,
  };
  const evaluation = config === undefined ? [] : checkForEvaluation(opened, needs);
  const more = remarks(opened, purpose, config);
  if (purpose === 'evaluation') return { issues: [...issues, ...more, ...evaluation], evaluation: [], opened };
  return { issues: [...issues, ...more], evaluation, opened };
}

/** What is worth a look though it is used, and what a model would ask for that is not named. */
function remarks(
  { fileName, annotations: { annotations, categories } }: DetectionDataset,
  purpose: 'training' | 'evaluation',
  config: RunConfig | undefined,
): readonly DataIssue[] {
  const issues = new DataIssueList(fileName);
  const tiny = annotations.filter(({ bbox }) => Math.min(bbox[2], bbox[3]) < 1 && Math.min(bbox[2], bbox[3]) > 0);
  if (tiny.length > 0)
    issues.byRule(
      'box-tiny',
      purpose,
      '',
      `${tiny.length} of ${annotations.length} objects have a box with a side below one pixel (annotation ids ${firstIds(tiny)}): they are used; look whether coordinates are fractions of the picture`,
    );
  if (config !== undefined) return issues.issues;
  const bare = annotations.filter((annotation) => !hasMask(annotation));
  if (bare.length > 0 && bare.length < annotations.length)
    issues.warning(
      'mask-missing',
      '',
      `${bare.length} of ${annotations.length} objects have no mask (annotation ids ${firstIds(bare)}): a model of masks leaves them out in training and cannot be evaluated on them; --model mask_rcnn says what it does`,
    );
  const named = categories.filter(({ keypoints = [] }) => keypoints.length > 0);
  const other = named.find(({ keypoints }) => keypoints!.join('\0') !== named[0]!.keypoints!.join('\0'));
  if (other)
    issues.warning(
      'keypoints-differ',
      'categories',
      `"${named[0]!.name}" and "${other.name}" have different keypoints: a model of keypoints refuses them together`,
    );
  return issues.issues;
}

/** Whether the later files mean the same categories as the first. */
function differingCategories(checked: readonly CheckedFile[]): DataIssue[] {
  const [first, ...others] = checked.filter(({ opened }) => opened !== undefined);
  return others.flatMap(({ file, opened }) => {
    const issues = new DataIssueList(file);
    const match = matchCategories(opened!.categories, first!.opened!.categories);
    if (match.kind === 'different')
      issues.error(
        'categories-differ',
        'categories',
        `are not those of ${first!.file} (there: ${file}, here: ${first!.file}; ${match.words}): use the same list in both`,
      );
    else if (match.differs === 'ids')
      issues.warning(
        'categories-differ',
        'categories',
        `have other ids than in ${first!.file} (${match.words}): they are matched by name`,
      );
    return issues.issues;
  });
}

function firstIds(annotations: readonly { readonly id: number }[]): string {
  const ids = annotations.slice(0, 5).map(({ id }) => id);
  return annotations.length > 5 ? `${ids.join(', ')}, ...` : ids.join(', ');
}

function isError({ severity }: DataIssue): boolean {
  return severity === 'error';
}

function isOf(file: string): (issue: DataIssue) => boolean {
  return ({ message }) => message.startsWith(`${file}: `);
}

/** How often each case is met and what is done with it. */
function rulesOf(
  issues: readonly DataIssue[],
): Record<string, { issues: number; training: string; evaluation: string }> {
  const codes = new Map<DataIssueCode, number>();
  for (const { code } of issues) codes.set(code, (codes.get(code) ?? 0) + 1);
  return Object.fromEntries(
    [...codes].map(([code, count]) => {
      const { training, evaluation }: DataRule = dataRules[code];
      return [code, { issues: count, training: training.does, evaluation: evaluation.does }];
    }),
  );
}

function asJson({ file, issues, evaluation, opened, picturesChecked }: CheckedFile): object {
  const errors = issues.filter(isError).length;
  return {
    file,
    errors,
    warnings: issues.length - errors,
    picturesChecked,
    ...(opened && {
      samples: opened.counts.images,
      objects: opened.counts.annotations,
      leftOut: opened.counts.leftOut,
    }),
    issues,
    evaluation,
    rules: rulesOf([...issues, ...evaluation]),
  };
}

function print({ file, issues, evaluation, opened, picturesChecked }: CheckedFile, withPictures: boolean): void {
  for (const { severity, code, message } of issues) console.log(`${severity} [${code}] ${message}`);
  for (const { code, message } of evaluation) console.log(`evaluation [${code}] ${message}`);
  for (const [code, { training, evaluation: measured }] of Object.entries(rulesOf([...issues, ...evaluation])))
    console.log(`rule [${code}] in training: ${training}; in an evaluation: ${measured}`);
  const errors = issues.filter(isError).length;
  const dataset = opened?.annotations;
  const counts = dataset
    ? [
        plural(dataset.images.length, 'image'),
        plural(dataset.annotations.length, 'annotation'),
        plural(dataset.categories.length, 'category', 'categories'),
      ].join(', ')
    : '';
  const checked = picturesChecked > 0 ? `, ${plural(picturesChecked, 'picture')} decoded` : '';
  const skipped =
    opened === undefined && withPictures ? '; the pictures were not looked at: mend the errors first' : '';
  const found =
    issues.length === 0 ? 'nothing wrong' : `${plural(errors, 'error')}, ${plural(issues.length - errors, 'warning')}`;
  const stops = evaluation.length === 0 ? '' : `, ${plural(evaluation.length, 'object')} that an evaluation stops at`;
  console.log(`${file}: ${found}${stops}${counts === '' ? '' : ` (${counts}${checked})`}${skipped}`);
}

function plural(count: number, word: string, several = `${word}s`): string {
  return `${count} ${count === 1 ? word : several}`;
}
