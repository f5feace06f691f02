// Trainings killed with SIGKILL at random moments and resumed must end as one that was never stopped, bit for bit.
//
//     node bench/dist/resume-after-kill.js [--kills 10] [--seed 1] [--iterations 40] [--keep FOLDER]
//
// After every kill each checkpoint on the disk is read completely; at the end of each round the final weights, the last
// checkpoint with all of its state, and the losses in metrics.jsonl are compared. Exit code 1 on a difference.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createRandom } from '@goshawk/core';
import { openSafetensors } from '@goshawk/torch/checkpoint';
import { checkpointFile, checkpointsOf, lastIteration, untilIteration } from './killed-training.js';
import { goshawk, type MetricsLine, makeTinyTraining, readMetricsLines, runGoshawk } from './tiny-training.js';

const { values: options } = parseArgs({
  options: {
    kills: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    iterations: { type: 'string', default: '40' },
    keep: { type: 'string' },
  },
});

const iterations = Number(options.iterations);
// A few steps and checkpoints long.
const LONGEST_DELAY_MS = 100;
const random = createRandom(Number(options.seed));
const folder = options.keep ?? mkdtempSync(join(tmpdir(), 'goshawk-resume-'));
mkdirSync(folder, { recursive: true });
try {
  await main();
} finally {
  if (options.keep === undefined) rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  // A checkpoint at every third step: many kills fall into the writing of one, and into the evaluations between.
  const train = { iterations, logEvery: 1, checkpointEvery: 3, keepCheckpoints: 2, evaluateEvery: 4 };
  const config = makeTinyTraining(folder, { images: 12, threads: 1, train, validation: 3 });
  const whole = join(folder, 'uninterrupted');
  const started = performance.now();
  runGoshawk(['train', config, '--output', whole]);
  const seconds = (performance.now() - started) / 1000;
  const expected = outcomeOf(whole);
  console.log(
    `${iterations} iterations without a stop: ${seconds.toFixed(1)} s, final weights ${expected.weights.slice(0, 12)}`,
  );
  console.log('round  killed after  while writing  checkpoints read  resumed from  result');
  let failures = 0;
  for (let round = 1; round <= Number(options.kills); round++) {
    const output = join(folder, `round-${round}`);
    const delayMs = random.uniform() * LONGEST_DELAY_MS;
    const moment: Moment = { iteration: random.integer(iterations), wait: round % 2 === 0 ? 'writing' : delayMs };
    await trainAndKill(config, output, moment);
    const at = lastIteration(output);
    const cut = isWriting(output);
    const read = readAllCheckpoints(output);
    runGoshawk(['train', config, '--output', output, '--resume']);
    const differences = compare(expected, outcomeOf(output));
    if (isWriting(output)) differences.push('unfinished files are left');
    if (differences.length > 0) failures++;
    const cells = [round, at, cut ? 'yes' : 'no', read.count, read.newest, ''];
    const widths = [5, 12, 13, 16, 12, 0];
    console.log(
      cells.map((cell, column) => String(cell).padStart(widths[column]!)).join('  ') +
        (differences.length > 0 ? `DIFFERS: ${differences.join(', ')}` : 'identical'),
    );
    if (options.keep === undefined) rmSync(output, { recursive: true, force: true });
  }
  console.log(failures > 0 ? `FAILED: ${failures} of ${options.kills} rounds differ` : `ok: ${options.kills} rounds`);
  if (failures > 0) process.exitCode = 1;
}

/** A moment of a training: so long after the line of an iteration was written (0: after the start). */
interface Moment {
  readonly iteration: number;
  /** 'writing': as soon as the next file of weights has been begun. */
  readonly wait: number | 'writing';
}

/** Starts a training and kills it at a moment. Watching its log makes the moments independent of the machine's speed. */
async function trainAndKill(config: string, output: string, { iteration, wait }: Moment): Promise<void> {
  const child = spawn(process.execPath, [goshawk, 'train', config, '--output', output], { stdio: 'ignore' });
  const exited = new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0 || signal === 'SIGKILL') resolve();
      else reject(new Error(`goshawk train ended with ${code ?? signal} before it was killed`));
    });
  });
  await untilIteration(child, output, iteration);
  if (wait === 'writing') while (child.exitCode === null && !isWriting(output)) await setTimeout(0);
  else await setTimeout(wait);
  child.kill('SIGKILL');
  await exited;
}

/** Whether a file of weights is being written. */
function isWriting(output: string): boolean {
  return [output, join(output, 'checkpoints')].some((folder) => unfinishedFiles(folder).length > 0);
}

/** What a kill in the middle of writing leaves, and a resumed training must remove. */
function unfinishedFiles(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.tmp')) : [];
}

/** Reads every tensor of every file under its final name. @throws CheckpointError where one is damaged */
function readAllCheckpoints(output: string): { count: number; newest: string } {
  const folders = [output, join(output, 'checkpoints')].filter((one) => existsSync(one));
  const files = folders.flatMap((one) =>
    readdirSync(one)
      .filter((name) => name.endsWith('.safetensors'))
      .map((name) => join(one, name)),
  );
  for (const file of files) digest(file);
  return { count: files.length, newest: String(checkpointsOf(output).at(-1) ?? 'start') };
}

interface Outcome {
  /** SHA-256 over names, dtypes, shapes and bytes of final.safetensors. */
  readonly weights: string;
  /** The same over the last checkpoint: optimizer, random numbers and place in the data included. */
  readonly state: string;
  /** SHA-256 over best.safetensors' tensors. */
  readonly best: string;
  /** Iterations, losses and figures, as text. */
  readonly metrics: readonly string[];
}

function outcomeOf(output: string): Outcome {
  return {
    weights: digest(join(output, 'final.safetensors')),
    state: digest(checkpointFile(output, checkpointsOf(output).at(-1)!)),
    best: digest(join(output, 'best.safetensors')),
    metrics: readMetricsLines(output).map(lossesOf),
  };
}

function compare(expected: Outcome, got: Outcome): string[] {
  const differences: string[] = [];
  if (got.weights !== expected.weights) differences.push(`final weights ${got.weights.slice(0, 12)}`);
  if (got.best !== expected.best) differences.push(`best weights ${got.best.slice(0, 12)}`);
  if (got.state !== expected.state) differences.push('state of the last checkpoint');
  const count = Math.max(expected.metrics.length, got.metrics.length);
  const line = Array.from({ length: count }, (_, i) => i).find((i) => expected.metrics[i] !== got.metrics[i]);
  if (line !== undefined)
    differences.push(`metrics.jsonl line ${line + 1}: ${got.metrics[line]}, expected ${expected.metrics[line]}`);
  return differences;
}

function digest(path: string): string {
  const file = openSafetensors(path);
  try {
    const hash = createHash('sha256');
    for (const name of [...file.names].sort()) {
      const { data, dtype, shape } = file.read(name);
      hash.update(`${name} ${dtype} ${shape.join('x')}\n`);
      hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
    hash.update(file.metadata.get('progress') ?? '');
    return hash.digest('hex');
  } finally {
    file.close();
  }
}

/** What does not depend on time and machine. */
function lossesOf(line: MetricsLine): string {
  const names = Object.keys(line).filter(
    (name) => name === 'iteration' || name.startsWith('loss') || name === 'lr' || name.includes('/'),
  );
  return names.map((name) => `${name} ${line[name]}`).join(' ');
}
