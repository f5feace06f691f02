// YOLO's label files: a text a picture, a line an object, numbers as fractions of the picture. Boxes are `class x y w h` by their
// centre, masks `class x1 y1 x2 y2 ...`, poses `class x y w h` and then `x y` or `x y v` for each keypoint (the layout of
// darknet, extended by ultralytics' data sets; docs.ultralytics.com/datasets).
import { boxXywh } from '../boxes/box.js';
import { boxAround } from '../boxes/measure-box.js';
import { InputError } from '../errors/index.js';
import { polygonsToRle } from '../masks/polygon-to-rle.js';
import { type MaskSize, rleArea } from '../masks/rle.js';
import { type DataIssue, DataIssueList, describeValue } from './data-issue.js';
import type { Annotation, Category, Dataset, ImageRecord } from './dataset.js';
import { decimalNumber, numberRemedy } from './decimal-number.js';
import { fitBox } from './fit-box.js';
import { imagePathProblem } from './image-path.js';
import { ObjectTwins, tellTwin } from './object-twins.js';

/** One picture's labels. */
export interface YoloFile {
  /** Of the labels; stands at the head of every message about them. */
  readonly fileName: string;
  /** Absent: the picture has no file of labels, and nothing in it. */
  readonly content?: string;
  /** The picture, below the image folder, and its size as shown. */
  readonly image: string;
  readonly width: number;
  readonly height: number;
}

/** What a data.yaml says of the numbers in its label files. */
export interface YoloClasses {
  /** Class c of the files is `names[c]` and becomes category c + 1. */
  readonly names: readonly string[];
  readonly keypoints?: YoloKeypoints;
}

export interface YoloKeypoints {
  /** One a point. */
  readonly names: readonly string[];
  /** 3: each point has its visibility; 2: it has not, and 0 0 means that it is not labelled. */
  readonly numbers: 2 | 3;
  /** Pairs of 0-based points that change places in a mirrored picture; absent: told by the names. */
  readonly flipPairs?: readonly (readonly [number, number])[];
}

export interface YoloOptions extends YoloClasses {
  /** `training` (the default): boxes are clipped to the picture, points are skipped; `evaluation`: boxes stay as they are. */
  readonly purpose?: 'training' | 'evaluation';
  /** Stands at the head of messages about all files together. Default `labels`. */
  readonly name?: string;
}

export interface ParsedYolo {
  /** Images and annotations 1, 2, ... in the order of the files and their lines. */
  readonly dataset: Dataset;
  /** What was skipped, clipped or looks wrong, in file order. */
  readonly warnings: readonly DataIssue[];
}

/** @throws InputError that names the file, line and remedy of the first error and counts the others */
export function parseYolo(files: Iterable<YoloFile>, options: YoloOptions): ParsedYolo {
  const issues = new DataIssueList(options.name ?? 'labels');
  const dataset = readFiles(files, options, issues);
  issues.throwFirstError('annotation-invalid');
  return { dataset, warnings: issues.warnings };
}

/** Every problem of the files, in file order; never throws for what they hold. */
export function checkYolo(files: Iterable<YoloFile>, options: YoloOptions): DataIssue[] {
  const issues = new DataIssueList(options.name ?? 'labels');
  readFiles(files, options, issues);
  return issues.issues;
}

function readFiles(files: Iterable<YoloFile>, options: YoloOptions, issues: DataIssueList): Dataset {
  tellNamesAlike(options.names, issues);
  const images: ImageRecord[] = [];
  const annotations: Annotation[] = [];
  const twins = new ObjectTwins<Annotation & { readonly path: string }>();
  for (const file of files) {
    const own = new DataIssueList(file.fileName);
    const { image: fileName, width, height } = file;
    const problem = imagePathProblem(fileName);
    if (problem !== undefined) own.error('unsafe-path', '', `is of ${describeValue(fileName)}, which ${problem}`);
    const imageId = images.push({ id: images.length + 1, fileName, width, height });
    for (const [i, line] of (file.content ?? '')
      .replace(/^\uFEFF/, '')
      .split(/\r\n|[\r\n]/)
      .entries()) {
      if (line.trim() === '') continue;
      const object = readLine(line.trim(), file, { path: `line ${i + 1}`, issues: own, options });
      if (object === undefined) continue;
      const annotation = { ...object, id: annotations.length + 1, imageId, path: `line ${i + 1}` };
      const twin = twins.take(annotation);
      if (twin !== undefined) tellTwin(twin.path, annotation.path, own);
      annotations.push({ ...object, id: annotation.id, imageId });
    }
    issues.append(own);
  }
  return { images, annotations, categories: yoloCategories(options) };
}

function tellNamesAlike(names: readonly string[], issues: DataIssueList): void {
  for (const [i, name] of names.entries()) {
    const first = names.indexOf(name);
    if (first < i)
      issues.warning(
        'duplicate-name',
        `names[${i}]`,
        `is ${describeValue(name)}, as names[${first}]: both are kept; name the classes apart, or join them in the labels`,
      );
  }
}

/** Categories 1, 2, ... of a class list, each with the keypoints. */
export function yoloCategories({ names, keypoints }: YoloClasses): Category[] {
  const { names: points, flipPairs } = keypoints ?? {};
  return names.map((name, i) => ({
    id: i + 1,
    name,
    ...(points === undefined ? {} : { keypoints: points }),
    ...(flipPairs === undefined ? {} : { flipPairs }),
  }));
}

interface Line {
  readonly path: string;
  readonly issues: DataIssueList;
  readonly options: YoloOptions;
}

type YoloObject = Omit<Annotation, 'id' | 'imageId'>;

/** Fractions lose a pixel's last digits: 30 / 427 * 427 is 29.999999999999996. Nine decimals of a pixel are kept. */
function pixels(value: number): number {
  return Math.round(value * 1e9) / 1e9;
}

// Rounding takes a fraction a little beyond the picture; more is a number of another kind.
const beyond = 0.01;

function readLine(text: string, { width, height }: YoloFile, line: Line): YoloObject | undefined {
  const { path, issues, options } = line;
  const words = text.split(/\s+/);
  const numbers = words.map(decimalNumber);
  const odd = numbers.findIndex(Number.isNaN);
  if (odd >= 0) {
    issues.error(
      'wrong-value',
      path,
      `has ${describeValue(words[odd])} (expected numbers): ${wordRemedy(words, odd, options.names)}`,
    );
    return undefined;
  }
  const problem = columnProblem(numbers.length, options.keypoints);
  if (problem !== undefined) {
    issues.error('wrong-value', path, problem);
    return undefined;
  }
  const index = numbers[0]!;
  if (!(Number.isInteger(index) && index >= 0 && index < options.names.length)) {
    const { names } = options;
    const known = names.length === 1 ? `0, which is ${names[0]}` : `0 to ${names.length - 1}`;
    issues.error(
      'unknown-category',
      path,
      `is of class ${index} (expected ${known}): add the class to names, or correct it`,
    );
    return undefined;
  }
  const isPose = options.keypoints !== undefined;
  const isPolygon = !isPose && numbers.length > 5;
  const fractions = isPose ? positionsOf(numbers, options.keypoints!.numbers) : numbers.slice(1);
  const far = fractions.find((fraction) => fraction < -beyond || fraction > 1 + beyond);
  if (far !== undefined) {
    const remedy =
      isPolygon && looksLikePose(numbers)
        ? `poses need kpt_shape: [${(numbers.length - 5) / 3}, 3] in data.yaml`
        : far < 0
          ? 'correct it'
          : `divide pixels by its width and height, ${width} x ${height}, and percent by 100`;
    issues.error('bad-box', path, `has ${far} (expected fractions of the picture, 0 to 1): ${remedy}`);
    return undefined;
  }
  const size: MaskSize = [height, width];
  const place = { path, entity: '', isKept: options.purpose === 'evaluation', issues };
  const common = { categoryId: index + 1, isCrowd: false };
  if (isPolygon) {
    const polygon = fractions.map((fraction, i) => pixels(fraction * (i % 2 === 0 ? width : height)));
    const bbox = fitBox(boxAround(polygon), size, place);
    const area = bbox && polygonArea(polygon, size, line);
    if (bbox === undefined || area === undefined) return undefined;
    return { ...common, bbox, area, segmentation: { kind: 'polygons', polygons: [polygon] } };
  }
  const [x, y, w, h] = numbers.slice(1, 5) as [number, number, number, number];
  const corner = [pixels((x - w / 2) * width), pixels((y - h / 2) * height)] as const;
  const bbox = fitBox(boxXywh(...corner, pixels(w * width), pixels(h * height)), size, place);
  if (bbox === undefined) return undefined;
  const area = bbox[2] * bbox[3];
  if (options.keypoints === undefined) return { ...common, bbox, area };
  const keypoints = readPoints(numbers.slice(5), options.keypoints.numbers, size, line);
  if (keypoints === undefined) return undefined;
  const numKeypoints = keypoints.filter((value, i) => i % 3 === 2 && value > 0).length;
  return { ...common, bbox, area, keypoints, numKeypoints };
}

/** What to do about a word that is no number. */
function wordRemedy(words: readonly string[], odd: number, names: readonly string[]): string {
  const word = words[odd]!;
  if (word.startsWith('#')) return 'remove comments';
  if (/^[-+\d.]+([,;][-+\d.]*)+$/.test(word) && !/^[-+]?\d+,\d+$/.test(word)) return 'separate numbers by blanks alone';
  if (/^[-+\d.]+%$/.test(word)) return 'write fractions of the picture, such as 0.5 for 50%';
  const index = odd === 0 ? names.indexOf(word) : -1;
  if (index >= 0) return `write the number of the class, which is ${index}`;
  if (odd === 0 && /^\p{L}/u.test(word)) return 'write the number of the class, from 0 on';
  return numberRemedy(word, 'write the object again');
}

function columnProblem(columns: number, keypoints: YoloKeypoints | undefined): string | undefined {
  if (keypoints !== undefined) {
    const { names, numbers } = keypoints;
    const expected = 5 + names.length * numbers;
    if (columns === expected) return undefined;
    return `has ${columns} numbers (expected ${expected}: class, box and ${numbers} for each of ${names.length} keypoints): correct the line, or kpt_shape`;
  }
  if (columns === 5 || (columns >= 7 && columns % 2 === 1)) return undefined;
  const remedy =
    columns === 6
      ? 'remove the sixth, where it is the score of a prediction'
      : columns % 2 === 1
        ? 'write the object again'
        : 'one number is missing or too many; poses need kpt_shape in data.yaml';
  return `has ${columns} numbers (expected 5, class and box, or 7 and more, class and corners): ${remedy}`;
}

/** Whether a box is followed by points of which each has a visibility. */
function looksLikePose(numbers: readonly number[]): boolean {
  const visibilities = numbers.filter((_, i) => i >= 7 && (i - 5) % 3 === 2);
  return (numbers.length - 5) % 3 === 0 && visibilities.every((value) => value === 0 || value === 1 || value === 2);
}

/** The numbers of a pose that are places: without class and visibilities. */
function positionsOf(numbers: readonly number[], perPoint: 2 | 3): number[] {
  return numbers.filter((_, i) => i > 0 && (i < 5 || (i - 5) % perPoint < 2));
}

function readPoints(
  numbers: readonly number[],
  perPoint: 2 | 3,
  [height, width]: MaskSize,
  { path, issues }: Line,
): number[] | undefined {
  const points: number[] = [];
  for (let i = 0; i < numbers.length; i += perPoint) {
    const [x, y] = [numbers[i]!, numbers[i + 1]!];
    const visibility = perPoint === 3 ? numbers[i + 2]! : x === 0 && y === 0 ? 0 : 2;
    if (visibility !== 0 && visibility !== 1 && visibility !== 2) {
      const point = i / perPoint + 1;
      issues.error(
        'bad-keypoints',
        path,
        `has visibility ${visibility} for keypoint ${point} (expected 0 not labelled, 1 hidden or 2 visible): correct it`,
      );
      return undefined;
    }
    points.push(pixels(x * width), pixels(y * height), visibility);
  }
  return points;
}

function polygonArea(polygon: readonly number[], size: MaskSize, { path, issues }: Line): number | undefined {
  try {
    return rleArea(polygonsToRle([polygon], size));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    issues.error('bad-mask', path, error.message.replace(/^mask: /, ''));
    return undefined;
  }
}
