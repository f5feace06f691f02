// What is wrong with a person's data, as data: one entry a problem, in file order.
import { InputError, type InputErrorCode } from '../errors/index.js';

/** Stable names of the problems that annotation files have. */
export type DataIssueCode =
  | 'json-syntax'
  | 'xml-syntax'
  | 'json-not-finite'
  | 'top-level'
  | 'missing-field'
  | 'wrong-value'
  | 'duplicate-id'
  | 'duplicate-name'
  | 'duplicate-annotation'
  | 'unknown-image'
  | 'unknown-category'
  | 'unsafe-path'
  | 'bad-box'
  | 'box-degenerate'
  | 'box-outside'
  | 'box-clipped'
  | 'bad-mask'
  | 'polygon-degenerate'
  | 'mask-missing'
  | 'bad-keypoints'
  | 'image-missing'
  | 'image-damaged'
  | 'image-size';

export interface DataIssue {
  /** An error makes the file unusable; after a warning the message says what was done instead. */
  readonly severity: 'error' | 'warning';
  readonly code: DataIssueCode;
  /** Where in the file: `annotations[12].bbox`; empty for the file as a whole. */
  readonly path: string;
  /** One line, `file: path (id): what is wrong (expected, got): what to do`. */
  readonly message: string;
}

/** Gathers issues of one file and makes their one-line messages. */
export class DataIssueList {
  readonly issues: DataIssue[] = [];
  private readonly fileName: string;

  constructor(fileName: string) {
    this.fileName = fileName;
  }

  /** `entity` names what the path points into, such as "annotation id 12". */
  error(code: DataIssueCode, path: string, text: string, entity = ''): void {
    this.add('error', code, path, text, entity);
  }

  warning(code: DataIssueCode, path: string, text: string, entity = ''): void {
    this.add('warning', code, path, text, entity);
  }

  get warnings(): DataIssue[] {
    return this.issues.filter((issue) => issue.severity === 'warning');
  }

  get errorCount(): number {
    return this.issues.filter((issue) => issue.severity === 'error').length;
  }

  /** Takes over the issues of another file. */
  append(other: DataIssueList): void {
    this.issues.push(...other.issues);
  }

  /** @throws InputError with the first error's message and the number of the others, if there is any error. */
  throwFirstError(code: InputErrorCode): void {
    const errors = this.issues.filter((issue) => issue.severity === 'error');
    const first = errors[0];
    if (first === undefined) return;
    const others = errors.length - 1;
    throw new InputError(
      code,
      others === 0 ? first.message : `${first.message} (and ${others} more ${others === 1 ? 'problem' : 'problems'})`,
    );
  }

  private add(severity: DataIssue['severity'], code: DataIssueCode, path: string, text: string, entity: string): void {
    const where = [path, entity === '' ? '' : `(${entity})`].filter((part) => part !== '').join(' ');
    this.issues.push({ severity, code, path, message: `${this.fileName}: ${where === '' ? '' : `${where} `}${text}` });
  }
}

/** A value as an error message shows it: short, on one line, whatever it is. Never looks deeper than one level. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'missing';
  if (typeof value === 'string') return describeString(value);
  if (value === null || typeof value !== 'object') return String(value);
  if (!Array.isArray(value)) return 'an object';
  if (value.length > 6) return `a list of ${value.length}`;
  const items = value.map((item: unknown) => {
    if (Array.isArray(item)) return item.length === 0 ? '[]' : '[...]';
    return item !== null && typeof item === 'object' ? '{...}' : describeValue(item);
  });
  return `[${items.join(', ')}]`;
}

function describeString(value: string): string {
  if (value === nanToken) return 'NaN';
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
}

/** Stands in a parsed file for a bare NaN, which JSON has no word for. */
export const nanToken = '\u0000NaN';
