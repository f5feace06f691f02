// Many small checks by processes side by side: an error of the card stays with its process, so what comes after it gets another.
import { CARD_FAILED_CODE } from './kernel-line.js';
import { eachOf, endOf, runProgram } from './programs.js';

export interface Checks {
  /** Its arguments before the names of checks; it writes a line for each of them, in their order. */
  readonly program: readonly string[];
  readonly names: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Seconds, of all of it. */
  readonly limit: number;
  /** Processes. */
  readonly atOnce: number;
  /** @returns the name of the check that the line is of */
  readonly onLine: (line: string) => string;
}

/** @returns why a check has no line or not all of them, by its name; empty where all were done */
export async function eachAnswering({
  program,
  names,
  env,
  limit,
  atOnce,
  onLine,
}: Checks): Promise<Map<string, string>> {
  const ending = Date.now() + limit * 1000;
  const ends = new Map<string, string>();
  const groups = Array.from({ length: atOnce }, (_, k) => names.filter((_name, i) => i % atOnce === k));
  await eachOf(groups, atOnce, async (group) => {
    let left: readonly string[] = group;
    while (left.length > 0) {
      const seconds = (ending - Date.now()) / 1000;
      if (seconds < 1) {
        for (const name of left) ends.set(name, 'its time was over');
        return;
      }
      let at = left[0]!;
      const ended = await runProgram([...program, ...left], {
        env,
        limit: seconds,
        onLine: (text) => {
          at = onLine(text);
        },
      });
      if (ended.code === 0) return;
      ends.set(at, ended.code === CARD_FAILED_CODE ? 'the card answered nothing after it' : endOf(ended));
      left = left.slice(left.indexOf(at) + 1);
    }
  });
  return ends;
}
