// metrics.jsonl: one JSON object a line, each with an `iteration`. Lines are appended, so that a killed run loses at
// most the line being written; resuming cuts what lies after the iteration it continues from.
import {
  closeSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { describeWriteError } from '../files/atomic-file.js';

export type MetricsRecord = Readonly<Record<string, unknown>> & { readonly iteration: number };

/** Appends records to a file. */
export class MetricsLog {
  readonly #file: string;
  readonly #handle: number;

  private constructor(file: string, handle: number) {
    this.#file = file;
    this.#handle = handle;
  }

  /**
   * Opens or makes `file`. What is there stays up to the first line that `isKept` denies, or that is damaged.
   * @param isKept default: begins anew
   */
  static open(file: string, isKept: (record: MetricsRecord) => boolean = () => false): MetricsLog {
    mkdirSync(path.dirname(file), { recursive: true });
    const handle = openSync(file, existsSync(file) ? 'r+' : 'w+');
    try {
      ftruncateSync(handle, keptLength(handle, isKept));
      return new MetricsLog(file, handle);
    } catch (error) {
      closeSync(handle);
      throw error;
    }
  }

  /** @throws InputError where it cannot be written, on a full disk for instance; the lines before it are whole then */
  write(record: MetricsRecord): void {
    const line = Buffer.from(`${JSON.stringify(record, finiteOrName)}\n`);
    const { size } = fstatSync(this.#handle);
    try {
      for (let done = 0; done < line.length; )
        done += writeSync(this.#handle, line, done, line.length - done, size + done);
    } catch (error) {
      ftruncateSync(this.#handle, size);
      throw describeWriteError(this.#file, error);
    }
  }

  close(): void {
    closeSync(this.#handle);
  }
}

/** The complete lines of a log; one that a kill left unfinished, or that is damaged, is passed over. */
export function readMetrics(file: string): MetricsRecord[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => parseLine(line) ?? []);
}

/** Bytes of the lines from the start that are whole and kept. */
function keptLength(handle: number, isKept: (record: MetricsRecord) => boolean): number {
  const bytes = Buffer.alloc(fstatSync(handle).size);
  readSync(handle, bytes, 0, bytes.length, 0);
  let start = 0;
  for (;;) {
    const end = bytes.indexOf(10, start);
    if (end < 0) return start;
    const record = parseLine(bytes.toString('utf8', start, end));
    if (record === undefined || !isKept(record)) return start;
    start = end + 1;
  }
}

function parseLine(line: string): MetricsRecord | undefined {
  try {
    const value = JSON.parse(line) as unknown;
    const isRecord = typeof value === 'object' && value !== null && 'iteration' in value;
    return isRecord && typeof value.iteration === 'number' ? (value as MetricsRecord) : undefined;
  } catch {
    return undefined;
  }
}

/** JSON has no NaN or Infinity; a reader should see that there was one. */
function finiteOrName(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}
