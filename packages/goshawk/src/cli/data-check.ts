// goshawk data check: everything that is wrong with an annotation file and, when asked, with its pictures.
import path from 'node:path';
import { type DataIssue, type ImageRecord, InputError, imagePathProblem } from '@goshawk/core';
import { checkAnnotations } from '../data/annotation-files.js';
import { createProgressLine, formatDuration } from '../terminal/progress-line.js';
import { type AnnotationCommandOptions, annotationSource } from './annotation-options.js';

export interface DataCheckCommandOptions extends AnnotationCommandOptions {
  readonly masks?: boolean;
  readonly json?: boolean;
}

type ImageIssueCode = 'image-missing' | 'image-damaged' | 'image-size';
type Issue = DataIssue | { severity: 'error' | 'warning'; code: ImageIssueCode; path: string; message: string };

/** Prints the issues; sets the exit code 1 when an error is among them. */
export async function runDataCheck(file: string, options: DataCheckCommandOptions): Promise<void> {
  const checkedFile = checkAnnotations(annotationSource(file, options), { forMasks: options.masks === true });
  const issues: Issue[] = [...checkedFile.issues];
  let counts = '';
  let pictures = 0;
  if (checkedFile.read !== undefined) {
    const { dataset } = checkedFile.read;
    counts = `${dataset.images.length} images, ${dataset.annotations.length} annotations, ${dataset.categories.length} categories`;
    if (options.images !== undefined) {
      for (const issue of await checkImages(file, options.images, dataset.images)) issues.push(issue);
      pictures = dataset.images.length;
    }
  }
  const errors = issues.filter((issue) => issue.severity === 'error').length;
  const warnings = issues.length - errors;
  if (errors > 0) process.exitCode = 1;
  if (options.json) {
    console.log(JSON.stringify({ file, errors, warnings, picturesChecked: pictures, issues }, undefined, 2));
    return;
  }
  for (const { severity, code, message } of issues) console.log(`${severity} [${code}] ${message}`);
  const checked = pictures > 0 ? `, ${pictures} pictures decoded` : '';
  const skipped =
    checkedFile.read === undefined && options.images !== undefined
      ? '; the pictures were not looked at: mend the errors first'
      : '';
  const found = issues.length === 0 ? 'nothing wrong' : `${plural(errors, 'error')}, ${plural(warnings, 'warning')}`;
  console.log(`${file}: ${found}${counts === '' ? '' : ` (${counts}${checked})`}${skipped}`);
}

/** Decodes every picture, four at a time: each holds its pixels only while it is looked at. */
async function checkImages(file: string, folder: string, images: readonly ImageRecord[]): Promise<Issue[]> {
  const { decodeImageFile } = await import('../data/decode-image.js');
  const found: (Issue | undefined)[] = [];
  const line = createProgressLine();
  const started = performance.now();
  let next = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (next < images.length) {
      const index = next++;
      found[index] = await checkImage(file, folder, images[index]!, index, decodeImageFile);
      done += 1;
      const rate = done / ((performance.now() - started) / 1000);
      const left = formatDuration((images.length - done) / rate);
      line.update(`decoding ${done}/${images.length}  ${rate.toFixed(1)} images/s  ${left} left`);
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  line.done();
  return found.filter((issue) => issue !== undefined);
}

async function checkImage(
  file: string,
  folder: string,
  record: ImageRecord,
  index: number,
  decode: (path: string) => Promise<{ readonly width: number; readonly height: number }>,
): Promise<Issue | undefined> {
  const where = `images[${index}]`;
  const issue = (code: ImageIssueCode, text: string): Issue => ({
    severity: 'error',
    code,
    path: where,
    message: `${file}: ${where} (image id ${record.id}): ${text}`,
  });
  // Annotation files are other people's: they do not get to name files outside of the folder.
  const problem = imagePathProblem(record.fileName);
  if (problem !== undefined) return issue('image-missing', `${record.fileName} ${problem}`);
  try {
    const { width, height } = await decode(path.join(folder, record.fileName));
    if (width === record.width && height === record.height) return undefined;
    const isTurned = width === record.height && height === record.width;
    const advice = isTurned
      ? 'the picture is turned by its EXIF orientation: annotate it as it is shown'
      : 'correct the entry';
    return issue(
      'image-size',
      `${record.fileName} is ${width} x ${height} (expected ${record.width} x ${record.height}): ${advice}`,
    );
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return issue(error.code === 'file-not-found' ? 'image-missing' : 'image-damaged', error.message);
  }
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}
