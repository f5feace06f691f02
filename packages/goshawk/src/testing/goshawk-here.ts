// The goshawk command in the process of a test: what it says and its exit code are those of a process of its own, and it has not to
// start. cli/command-line.test.ts runs real ones: what they load, how they end and how they are stopped is seen there.
import { mock } from 'node:test';
import { format } from 'node:util';
import { reportFailure } from '../cli/report-failure.js';
import { runCommandLine } from '../cli/run-command-line.js';

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/**
 * Runs `goshawk WORDS...` in a folder, one command at a time, without a terminal.
 * @param environment variables that it finds besides those of the test
 */
export async function goshawkHere(
  folder: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  let [out, err] = ['', ''];
  const [place, exitCode, variables] = [process.cwd(), process.exitCode, process.env];
  const log = mock.method(console, 'log', (...values: unknown[]) => {
    out += `${format(...values)}\n`;
  });
  const stderr = mock.method(process.stderr, 'write', (text: string) => {
    err += text;
    return true;
  });
  process.chdir(folder);
  process.exitCode = undefined;
  process.env = { ...variables, ...environment };
  try {
    await runCommandLine(words);
    return { code: Number(process.exitCode ?? 0), out, err };
  } catch (error) {
    const { message, exitCode: code } = reportFailure(error, { debug: false });
    return { code, out, err: `${err}${message}\n` };
  } finally {
    process.env = variables;
    process.exitCode = exitCode;
    process.chdir(place);
    log.mock.restore();
    stderr.mock.restore();
  }
}
