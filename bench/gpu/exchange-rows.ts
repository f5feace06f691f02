// What processes exchange on cards (exchange-check.ts) as rows of the report.
import type { Row } from './child-lines.js';
import { endOf, programPath, runProgram } from './programs.js';

export async function checkExchanges(device: string, env: NodeJS.ProcessEnv, limit: number): Promise<Row[]> {
  const ended = await runProgram([programPath('exchange-check.js'), device], { env, limit });
  const rows = ended.lines.map((line) => JSON.parse(line) as Row);
  return ended.code === 0 ? rows : [...rows, { name: 'exchanges', state: 'failed', detail: endOf(ended) }];
}
