// The kernel checks as rows of the report: an operator each, its cases (kernel-cases.ts) in processes of their own.
import type { Row } from './child-lines.js';
import { eachAnswering } from './each-answering.js';
import type { KernelLine } from './kernel-line.js';
import { endOf, programPath, runProgram } from './programs.js';

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
  const lines: KernelLine[] = [];
  const ends = await eachAnswering({
    ...{ program: [program, device], names: operators, env, atOnce, limit: (ending - Date.now()) / 1000 },
    onLine: (text) => {
      const line = JSON.parse(text) as KernelLine;
      lines.push(line);
      return line.operator;
    },
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
