// The two tables that annotations refer to: `categories` and `images` of a COCO file.

import { InputError } from '../errors/input-error.js';
import { flipPairsOf } from '../keypoints/flip-keypoints.js';
import { isFiniteNumber, readId } from './coco-fields.js';
import type { DataIssueList } from './data-issue.js';
import { describeValue } from './data-issue.js';
import type { Category, ImageRecord, LookedFor } from './dataset.js';
import { forwardSlashes, imageNameInUrl, imagePathProblem } from './image-path.js';
import { asObject, type JsonObject } from './read-json.js';

/** The entries of a list by id, and whether ids were so wrong that references cannot be judged. */
export interface ById<Entry> {
  readonly entries: ReadonlyMap<number, Entry>;
  readonly hasUnknownIds: boolean;
}

export function readCategories(list: readonly unknown[], issues: DataIssueList): ById<Category> {
  const ids = new IdRegister<Category>('categories', 'category', issues);
  const names = new Map<string, number>();
  for (let i = 0; i < list.length; i++) {
    const object = asObject(list[i]);
    const id = ids.take(list[i], i);
    if (object === undefined || id === undefined) continue;
    const path = `categories[${i}]`;
    const entity = `category id ${id}`;
    const { name, supercategory, frequency } = object;
    checkName(name, names, `${path}.name`, issues, entity);
    if (typeof name === 'string' && !names.has(name)) names.set(name, id);
    const keypoints = readKeypointNames(object.keypoints, `${path}.keypoints`, issues, entity);
    const sigmas = readSigmas(object.sigmas, keypoints?.length, `${path}.sigmas`, issues, entity);
    const skeleton = readSkeleton(object.skeleton, keypoints?.length ?? 0, `${path}.skeleton`, issues, entity);
    const flipPairs = readFlipPairs(object, keypoints ?? [], path, issues, entity);
    ids.entries.set(id, {
      id,
      name: typeof name === 'string' ? name : '',
      ...(typeof supercategory === 'string' ? { supercategory } : {}),
      ...(keypoints === undefined ? {} : { keypoints }),
      ...(skeleton === undefined ? {} : { skeleton }),
      ...(sigmas === undefined ? {} : { sigmas }),
      ...(flipPairs === undefined ? {} : { flipPairs }),
      ...(frequency === 'r' || frequency === 'c' || frequency === 'f' ? { frequency } : {}),
    });
  }
  return ids;
}

/** @param requireFiles false where only numbers are compared: a missing name or size is then a warning, `''` or 0. */
export function readImages(list: readonly unknown[], requireFiles: boolean, issues: DataIssueList): ById<ImageRecord> {
  const ids = new IdRegister<ImageRecord>('images', 'image', issues);
  const names = new Map<string, number>();
  for (let i = 0; i < list.length; i++) {
    const object = asObject(list[i]);
    const id = ids.take(list[i], i);
    if (object === undefined || id === undefined) continue;
    const path = `images[${i}]`;
    const entity = `image id ${id}`;
    const fileName = readFileName(
      object.file_name ?? imageNameInUrl(object.coco_url),
      requireFiles,
      `${path}.file_name`,
      issues,
      entity,
    );
    const width = readSide(object.width, requireFiles, `${path}.width`, issues, entity);
    const height = readSide(object.height, requireFiles, `${path}.height`, issues, entity);
    // An entry with an error stays, so that its annotations do not look like strays.
    const lookedFor = readLookedFor(object, path, issues, entity);
    ids.entries.set(id, { id, fileName, width, height, ...(lookedFor === undefined ? {} : { lookedFor }) });
    if (fileName === '') continue;
    const other = names.get(fileName);
    if (other === undefined) names.set(fileName, id);
    else
      issues.warning(
        'duplicate-name',
        `${path}.file_name`,
        `is ${describeValue(fileName)}, as for image id ${other}: both are kept; join their annotations if they are one picture`,
        entity,
      );
  }
  return ids;
}

/** LVIS' lists of categories; undefined where there are none, and after an error. */
function readLookedFor(
  { neg_category_ids: absent, not_exhaustive_category_ids: notAll }: JsonObject,
  path: string,
  issues: DataIssueList,
  entity: string,
): LookedFor | undefined {
  if (absent === undefined && notAll === undefined) return undefined;
  const idsOf = (value: unknown, key: string): readonly number[] => {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value) && value.every(Number.isSafeInteger)) return value as readonly number[];
    issues.error(
      'wrong-value',
      `${path}.${key}`,
      `is ${describeValue(value)} (expected a list of category ids): correct or drop it`,
      entity,
    );
    return [];
  };
  return { absent: idsOf(absent, 'neg_category_ids'), notAll: idsOf(notAll, 'not_exhaustive_category_ids') };
}

function checkName(
  name: unknown,
  earlier: ReadonlyMap<string, number>,
  path: string,
  issues: DataIssueList,
  entity: string,
): void {
  if (typeof name !== 'string' || name.trim() === '') {
    const code = name === undefined ? 'missing-field' : 'wrong-value';
    issues.error(code, path, `is ${describeValue(name)} (expected a name): name the category`, entity);
  } else if (earlier.has(name)) {
    issues.warning(
      'duplicate-name',
      path,
      `is ${describeValue(name)}, as category id ${earlier.get(name)} already is: both are kept as classes of their own; join them if they are one`,
      entity,
    );
  }
}

function readFileName(
  value: unknown,
  isRequired: boolean,
  path: string,
  issues: DataIssueList,
  entity: string,
): string {
  if (typeof value === 'string') {
    const name = forwardSlashes(value);
    const problem = imagePathProblem(name);
    if (problem === undefined) return name;
    issues.error('unsafe-path', path, `is ${describeValue(value)}, which ${problem}`, entity);
  } else if (value === undefined && !isRequired) {
    issues.warning('missing-field', path, 'is missing: not needed here, needed to find the picture', entity);
  } else {
    const code = value === undefined ? 'missing-field' : 'wrong-value';
    issues.error(
      code,
      path,
      `is ${describeValue(value)} (expected the picture's path below the image folder): add it`,
      entity,
    );
  }
  return '';
}

function readSide(value: unknown, isRequired: boolean, path: string, issues: DataIssueList, entity: string): number {
  if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
  if (value === undefined && !isRequired) {
    issues.warning('missing-field', path, 'is missing: not needed here, needed for masks and pictures', entity);
  } else {
    const code = value === undefined ? 'missing-field' : 'wrong-value';
    issues.error(
      code,
      path,
      `is ${describeValue(value)} (expected whole pixels, at least 1): write the picture's size`,
      entity,
    );
  }
  return 0;
}

function readKeypointNames(
  value: unknown,
  path: string,
  issues: DataIssueList,
  entity: string,
): readonly string[] | undefined {
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return undefined;
  if (Array.isArray(value) && value.every((name) => typeof name === 'string')) return value;
  issues.error(
    'bad-keypoints',
    path,
    `is ${describeValue(value)} (expected a list of names): name the points in order`,
    entity,
  );
  return undefined;
}

// No key of COCO's own; some exporters write it.
function readSigmas(
  value: unknown,
  pointCount: number | undefined,
  path: string,
  issues: DataIssueList,
  entity: string,
): readonly number[] | undefined {
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return undefined;
  const isSigma = (sigma: unknown): sigma is number => isFiniteNumber(sigma) && sigma > 0;
  const isList = Array.isArray(value) && value.every(isSigma);
  if (isList && value.length === (pointCount ?? value.length)) return value;
  const expected =
    pointCount === undefined ? 'numbers above 0' : `${pointCount} numbers above 0, one for each keypoint`;
  issues.error('bad-keypoints', path, `is ${describeValue(value)} (expected ${expected}): correct or drop it`, entity);
  return undefined;
}

function readSkeleton(
  value: unknown,
  pointCount: number,
  path: string,
  issues: DataIssueList,
  entity: string,
): readonly (readonly [number, number])[] | undefined {
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return undefined;
  const isPair = (pair: unknown): pair is [number, number] =>
    Array.isArray(pair) &&
    pair.length === 2 &&
    pair.every((point) => Number.isInteger(point) && point >= 1 && point <= pointCount);
  if (Array.isArray(value) && value.every(isPair)) return value;
  const bad = Array.isArray(value) ? value.findIndex((pair) => !isPair(pair)) : -1;
  const where = bad < 0 ? path : `${path}[${bad}]`;
  const found = Array.isArray(value) ? (value[bad] as unknown) : value;
  issues.error(
    'bad-keypoints',
    where,
    `is ${describeValue(found)} (expected pairs of keypoint numbers from 1 to ${pointCount}): correct it`,
    entity,
  );
  return undefined;
}

/**
 * Which keypoints change places in a mirrored picture, as other tools write it beside the names: `flip_pairs`, pairs of
 * names or of numbers from 0, or `flip_idx`, for each point the number of the one that it becomes.
 */
function readFlipPairs(
  { flip_pairs: pairs, flip_idx: order }: JsonObject,
  names: readonly string[],
  path: string,
  issues: DataIssueList,
  entity: string,
): readonly (readonly [number, number])[] | undefined {
  const [key, value] = pairs === undefined || pairs === null ? ['flip_idx', order] : ['flip_pairs', pairs];
  if (value === undefined || value === null) return undefined;
  try {
    return flipPairsOf(names, key === 'flip_pairs' ? value : pairsOfOrder(value, names.length));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    issues.error('bad-keypoints', `${path}.${key}`, error.message, entity);
    return undefined;
  }
}

function pairsOfOrder(order: unknown, count: number): unknown {
  const partners = Array.isArray(order) ? (order as readonly unknown[]) : [];
  if (partners.length !== count || partners.some((partner, i) => partners[partner as number] !== i))
    throw new InputError(
      'annotation-invalid',
      `is ${describeValue(order)} (expected for each of the ${count} keypoints the number, from 0, of the one that it becomes): correct it`,
    );
  return partners.flatMap((partner, i) => ((partner as number) > i ? [[i, partner]] : []));
}

// Reads ids of one list, each once.
class IdRegister<Entry> {
  readonly entries = new Map<number, Entry>();
  hasUnknownIds = false;
  private readonly seen = new Set<number>();
  private readonly list: string;
  private readonly noun: string;
  private readonly issues: DataIssueList;

  constructor(list: string, noun: string, issues: DataIssueList) {
    this.list = list;
    this.noun = noun;
    this.issues = issues;
  }

  /** The entry's id where it is usable and new. */
  take(entry: unknown, index: number): number | undefined {
    const path = `${this.list}[${index}]`;
    const object = asObject(entry);
    if (object === undefined) {
      this.hasUnknownIds = true;
      this.issues.error('wrong-value', path, `is ${describeValue(entry)} (expected an object): correct it`);
      return undefined;
    }
    const id = readId(object.id, `${path}.id`, this.issues);
    if (id === undefined) {
      this.hasUnknownIds = true;
    } else if (this.seen.has(id)) {
      this.hasUnknownIds = true;
      this.issues.error(
        'duplicate-id',
        `${path}.id`,
        `is ${id}, which an earlier ${this.noun} has: give each ${this.noun} an id of its own`,
        `${this.noun} id ${id}`,
      );
      return undefined;
    } else {
      this.seen.add(id);
    }
    return id;
  }
}
