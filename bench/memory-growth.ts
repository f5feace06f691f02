// Resident memory of a long training, by the real command: it must stop growing once every kind of step has been seen.
//
//     node bench/dist/memory-growth.js [--iterations 2000] [--threads 1] [--keep FOLDER]
//
// Exit code 1 when the memory of the last iterations is 2% or more above that around iteration 200.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from './peer-process.js';
import { type MetricsLine, makeTinyTraining, readMetricsLines, runGoshawk } from './tiny-training.js';

const { values: options } = parseArgs({
  options: {
    iterations: { type: 'string', default: '2000' },
    threads: { type: 'string', default: '1' },
    keep: { type: 'string' },
  },
});

const iterations = Number(options.iterations);
const START = 200;
const LIMIT = 0.02;
/** Iterations around a moment whose median stands for it: one sample may fall before or after a garbage collection. */
const WINDOW = 50;

const folder = options.keep ?? mkdtempSync(join(tmpdir(), 'goshawk-memory-'));
mkdirSync(folder, { recursive: true });
try {
  const train = { iterations, logEvery: 1, checkpointEvery: 500 };
  const config = makeTinyTraining(folder, { images: 32, threads: Number(options.threads), train });
  const output = join(folder, 'run');
  runGoshawk(['train', config, '--output', output]);
  report(readMetricsLines(output));
} finally {
  if (options.keep === undefined) rmSync(folder, { recursive: true, force: true });
}

function report(lines: readonly MetricsLine[]): void {
  const base = memoryAt(lines, START);
  const moments = [START, 500, 1000, 1500, 2000, iterations];
  for (const moment of [...new Set(moments)].filter((one) => one <= iterations)) {
    const memory = memoryAt(lines, moment);
    console.log(
      `iteration ${String(moment).padStart(5)}: ${(memory / 2 ** 20).toFixed(1)} MiB  ${percent(memory / base - 1)}`,
    );
  }
  const highest = Math.max(...lines.filter(({ iteration }) => iteration > START).map(memoryOf));
  console.log(
    `highest after iteration ${START}: ${(highest / 2 ** 20).toFixed(1)} MiB  ${percent(highest / base - 1)}`,
  );
  const growth = memoryAt(lines, iterations) / base - 1;
  const grew = growth >= LIMIT;
  console.log(
    `${grew ? 'FAILED' : 'ok'}: ${percent(growth)} from iteration ${START} to ${iterations}, limit ${percent(LIMIT)}`,
  );
  if (grew) process.exitCode = 1;
}

function memoryAt(lines: readonly MetricsLine[], moment: number): number {
  const near = lines.filter(({ iteration }) => iteration > moment - WINDOW && iteration <= moment);
  return median(near.map(memoryOf));
}

function memoryOf(line: MetricsLine): number {
  return line.memory_bytes ?? Number.NaN;
}

function percent(share: number): string {
  return `${share >= 0 ? '+' : ''}${(share * 100).toFixed(2)}%`;
}
