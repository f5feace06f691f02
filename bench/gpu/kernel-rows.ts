// The kernel checks as rows of the report: an operator each, its cases (kernel-cases.ts) in processes of their own.
import type { Row } from './child-lines.js';
import { CARD_FAILED_CODE, type KernelLine } from './kernel-line.js';
import { eachOf, endOf, programPath, runProgram } from './programs.js';

export interface KernelCheck {
  readonly device: string;
  readonly env: NodeJS.ProcessEnv;
  readonly limit: number;
  readonly atOnce: number;
}

export async function checkKernels({ device, env, limit, atOnce }: KernelCheck): Promise<Row[]> {
  const ending = Date.now() + limit * 1000;
  const program = programPath('kernel-check.js');
  const listed = await runProgram([program, '--list'], { env, limit });
  if (listed.code !== 0) throw new Error(endOf(listed));
  const operators = listed.lines.map((line) => (JSON.parse(line) as { operator: string }).operator);
  const groups = Array.from({ length: atOnce }, (_, k) => operators.filter((_name, i) => i % atOnce === k));
  const lines: KernelLine[] = [];
  const ends = new Map<string, string>();
  await eachOf(groups, atOnce, async (group) => {
    let left: readonly string[] = group;
    while (left.length > 0) {
      const seconds = (ending - Date.now()) / 1000;
      if (seconds < 1) {
        for (const operator of left) ends.set(operator, 'its time was over');
        return;
      }
      let at = left[0]!;
      const ended = await runProgram([program, device, ...left], {
        env,
        limit: seconds,
        onLine: (text) => {
          const line = JSON.parse(text) as KernelLine;
          lines.push(line);
          at = line.operator;
        },
      });
      if (ended.code === 0) return;
      // An error of the card stays with its process: the operators after that one get another.
      ends.set(at, ended.code === CARD_FAILED_CODE ? 'the card answered nothing after it' : endOf(ended));
      left = left.slice(left.indexOf(at) + 1);
    }
  });
  return operators.map((operator) => rowOf(operator, lines, ends.get(operator)));
}

function rowOf(operator: string, all: readonly KernelLine[], end: string | undefined): Row {
  const lines = all.filter((line) => line.operator === operator);
  const wrong = lines.filter(({ problem }) => problem !== undefined);
  const name = `kernel ${operator}`;
  const right = `${lines.length - wrong.length} of ${lines.length} cases as on the CPU`;
  if (wrong.length > 0 || end !== undefined || lines.length === 0) {
    const first = wrong[0] && `; ${wrong[0].name}: ${wrong[0].problem}`;
    const more =
      wrong.length > 1
        ? ` (also: ${wrong
            .slice(1, 4)
            .map((line) => line.name)
            .join('; ')})`
        : '';
    return { name, state: 'failed', detail: `${right}${first ?? ''}${more}${end === undefined ? '' : `; ${end}`}` };
  }
  const worst = Math.max(...lines.map((line) => line.worst ?? 0));
  return { name, state: 'ok', detail: `${right}, within ${worst === 0 ? '0' : worst.toExponential(1)}` };
}
