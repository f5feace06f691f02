// The parity case of packages/goshawk/src/parity as rows of the report, with and without TF32.
import type { Row } from './child-lines.js';
import { endOf, programPath, runProgram } from './programs.js';

interface ParityLine {
  readonly name: string;
  readonly value: number;
  readonly limit: number;
  readonly detail: string;
}

/** TF32 keeps 10 bits of a factor: what it gives is stated, and what is asked for is asked of float32 alone. */
export async function checkParity(device: string, env: NodeJS.ProcessEnv, limit: number): Promise<Row[]> {
  const program = [programPath('../../../packages/goshawk/dist/parity/on-device.js'), device];
  const [exact, short] = await Promise.all([
    runProgram(program, { env: { ...env, NVIDIA_TF32_OVERRIDE: '0' }, limit }),
    runProgram(program, { env, limit }),
  ]);
  const rowsOf = ({ lines }: { lines: readonly string[] }, tf32: 'off' | 'on'): Row[] =>
    lines.map((text) => {
      const { name, value, limit: most, detail } = JSON.parse(text) as ParityLine;
      const state = tf32 === 'on' ? 'stated' : value <= most ? 'ok' : 'failed';
      return { name: `Mask R-CNN of torchvision, TF32 ${tf32}: ${name}`, state, detail };
    });
  const ends = (
    [
      ['off', exact],
      ['on', short],
    ] as const
  ).flatMap(([tf32, ended]): Row[] =>
    ended.code === 0
      ? []
      : [{ name: `Mask R-CNN of torchvision, TF32 ${tf32}`, state: 'failed', detail: endOf(ended) }],
  );
  return [...rowsOf(exact, 'off'), ...rowsOf(short, 'on'), ...ends];
}
