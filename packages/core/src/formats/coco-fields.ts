// Checks of single fields that ground truth and results share.
import type { BoxXywh } from '../boxes/box.js';
import { boxXywh } from '../boxes/box.js';
import type { DataIssueList } from './data-issue.js';
import { describeValue } from './data-issue.js';

/** The whole number, or undefined with an error that says how to mend it. */
export function readId(value: unknown, path: string, issues: DataIssueList, entity = ''): number | undefined {
  if (Number.isSafeInteger(value)) return value as number;
  if (value === undefined || value === null) {
    issues.error('missing-field', path, `is ${describeValue(value)} (expected a whole number): add it`, entity);
  } else if (typeof value === 'string' && /^-?\d+$/.test(value)) {
    issues.error(
      'wrong-value',
      path,
      `is the text ${describeValue(value)} (expected a number): write it without quotes, here and where it is referred to`,
      entity,
    );
  } else {
    issues.error(
      'wrong-value',
      path,
      `is ${describeValue(value)} (expected a whole number up to 2^53): number the entries 1, 2, 3, ...`,
      entity,
    );
  }
  return undefined;
}

/** The four finite numbers of a box, or undefined with an error. Its size is not looked at. */
export function readBox(value: unknown, path: string, issues: DataIssueList, entity: string): BoxXywh | undefined {
  if (value === undefined) {
    issues.error('missing-field', path, 'is missing (expected [x, y, width, height] in pixels): add it', entity);
    return undefined;
  }
  if (Array.isArray(value) && value.length === 4) {
    const [x, y, width, height] = value as [unknown, unknown, unknown, unknown];
    if (isFiniteNumber(x) && isFiniteNumber(y) && isFiniteNumber(width) && isFiniteNumber(height)) {
      return boxXywh(x, y, width, height);
    }
  }
  issues.error(
    'bad-box',
    path,
    `is ${describeValue(value)} (expected four finite numbers [x, y, width, height]): correct it`,
    entity,
  );
  return undefined;
}

/**
 * The `[x, y, v, ...]` of an annotation or detection, or undefined with an error.
 * @param pointCount how many keypoints the category has, or undefined where it names none.
 */
export function readKeypoints(
  value: unknown,
  pointCount: number | undefined,
  path: string,
  issues: DataIssueList,
  entity: string,
): readonly number[] | undefined {
  if (!Array.isArray(value)) {
    issues.error('bad-keypoints', path, `is ${describeValue(value)} (expected [x, y, v, ...]): correct it`, entity);
    return undefined;
  }
  const numbers = value as readonly unknown[];
  if (pointCount !== undefined ? numbers.length !== pointCount * 3 : numbers.length % 3 !== 0) {
    const expected =
      pointCount === undefined
        ? 'a multiple of 3'
        : `${pointCount * 3}, three for each of the category's ${pointCount} points`;
    issues.error(
      'bad-keypoints',
      path,
      `has ${numbers.length} numbers (expected ${expected}): write x, y, v for each point, 0, 0, 0 where not labelled`,
      entity,
    );
    return undefined;
  }
  const bad = numbers.findIndex((number) => !isFiniteNumber(number));
  if (bad >= 0) {
    issues.error(
      'bad-keypoints',
      `${path}[${bad}]`,
      `is ${describeValue(numbers[bad])} (expected a finite number): correct it`,
      entity,
    );
    return undefined;
  }
  return numbers as readonly number[];
}

export function isFiniteNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
