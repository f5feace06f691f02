// What the programs of bench/gpu say to the one that started them: a line of JSON each, read and written without leaving
// the turn, so that a training in progress can wait for its next command.
import { readSync, writeSync } from 'node:fs';

/** How one check ended. `stated`: a figure that nothing is asked of. */
export type RowState = 'ok' | 'failed' | 'missed' | 'skipped' | 'stated';

export interface Row {
  readonly name: string;
  readonly state: RowState;
  readonly detail: string;
}

export function say(line: object): void {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
}

let rest = '';

/** The next line of standard input, waiting for it; undefined at its end. */
export function nextCommand<Command>(): Command | undefined {
  const buffer = Buffer.alloc(65536);
  for (;;) {
    const end = rest.indexOf('\n');
    if (end >= 0) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + 1);
      return JSON.parse(line) as Command;
    }
    const count = readSync(0, buffer);
    if (count === 0) return undefined;
    rest += buffer.toString('utf8', 0, count);
  }
}

/** The first line of what was thrown. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
