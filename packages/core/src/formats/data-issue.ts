// What is wrong with a person's data, as data: one entry a problem, in file order.
import { InputError, type InputErrorCode } from '../errors/index.js';
import { oneLine } from '../errors/one-line.js';
import { type DataIssueCode, type DataRule, dataRules } from './data-rules.js';

export type { DataIssueCode } from './data-rules.js';

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
  private readonly most: number;
  /** Found beyond `most`. */
  private moreErrors = 0;
  private moreWarnings = 0;

  /** @param most errors and warnings together that are kept; the others are counted */
  constructor(fileName: string, most = Number.POSITIVE_INFINITY) {
    this.fileName = fileName;
    this.most = most;
  }

  /** `entity` names what the path points into, such as "annotation id 12". */
  error(code: DataIssueCode, path: string, text: string, entity = ''): void {
    this.add('error', code, path, text, entity);
  }

  warning(code: DataIssueCode, path: string, text: string, entity = ''): void {
    this.add('warning', code, path, text, entity);
  }

  /** With the severity that the rule of `code` has for `purpose`; nothing where that is silent. */
  byRule(code: DataIssueCode, purpose: 'training' | 'evaluation', path: string, text: string, entity = ''): void {
    const { severity }: DataRule['training'] = dataRules[code][purpose];
    if (severity !== 'silent') this.add(severity, code, path, text, entity);
  }

  get warnings(): DataIssue[] {
    const warnings = this.issues.filter((issue) => issue.severity === 'warning');
    const { moreWarnings, fileName } = this;
    const more = `${fileName}: ${moreWarnings} more warnings`;
    return moreWarnings === 0
      ? warnings
      : [...warnings, { severity: 'warning', code: 'more', path: '', message: more }];
  }

  get errorCount(): number {
    return this.moreErrors + this.issues.filter((issue) => issue.severity === 'error').length;
  }

  /** Takes over the issues of another file. */
  append(other: { readonly issues: readonly DataIssue[] }): void {
    // One by one: a file can have more issues than a call may have arguments.
    for (const issue of other.issues) this.issues.push(issue);
  }

  /** @throws InputError with the first error's message and the number of the others, if there is any error. */
  throwFirstError(code: InputErrorCode): void {
    const first = this.issues.find((issue) => issue.severity === 'error');
    if (first === undefined) return;
    const others = this.errorCount - 1;
    throw new InputError(
      code,
      others === 0 ? first.message : `${first.message} (and ${others} more ${others === 1 ? 'problem' : 'problems'})`,
    );
  }

  private add(severity: DataIssue['severity'], code: DataIssueCode, path: string, text: string, entity: string): void {
    // An error is kept in any case where it is the first: it is the one to be thrown.
    if (this.issues.length >= this.most && !(severity === 'error' && this.errorCount === 0)) {
      if (severity === 'error') this.moreErrors++;
      else this.moreWarnings++;
      return;
    }
    const where = [path, entity === '' ? '' : `(${entity})`].filter((part) => part !== '').join(' ');
    const message = oneLine(`${this.fileName}: ${where === '' ? '' : `${where} `}${text}`);
    this.issues.push({ severity, code, path, message });
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
