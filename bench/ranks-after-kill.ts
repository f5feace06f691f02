// Trainings in two processes of which one is killed with SIGKILL at a random moment: the other must end within ten seconds and nothing
// may be left, and the resumed training must go on as one that was never stopped, with any number of processes.
//
//     node bench/dist/ranks-after-kill.js [--kills 10] [--seed 1] [--iterations 24] [--keep FOLDER]
//
// Resumed in two processes it ends with the very bits of two that ran through. With another number the sums of gradients are rounded
// otherwise, and a training carries a rounding on: it decides which of two nearly equal boxes is kept and on which side of 0 an
// activation lies. In float64 (train.precision: fp64), whose roundings are a billion times smaller, that all but never happens, and
// anything but a rounding stays as large as it is: of each tensor of the final weights the largest difference may be TOLERANCE of its
// largest value. How far apart trainings in float32 end is printed beside it, and not judged. Exit code 1 where something does not hold.
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createRandom } from '@goshawk/core';
import { weightsApart } from '@goshawk/torch';
import { checkpointsOf, lastIteration, untilIteration } from './killed-training.js';
import { goshawk, makeTinyTraining, runGoshawk } from './tiny-training.js';

const { values: options } = parseArgs({
  options: {
    kills: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    iterations: { type: 'string', default: '24' },
    keep: { type: 'string' },
  },
});

const TOLERANCE = 1e-6;
const LONGEST_END_MS = 10_000;
/** A few steps long. */
const LONGEST_DELAY_MS = 400;
const POLL_MS = 5;
const TWO = ['--devices', 'cpu:2'];
// Statistics of a batch's halves are not those of the whole.
const FROZEN = ['--set', 'model.backbone.norm=frozen_batch'];
const EXACT = ['--set', 'train.precision=fp64'];

const iterations = Number(options.iterations);
const random = createRandom(Number(options.seed));
const folder = options.keep ?? mkdtempSync(join(tmpdir(), 'goshawk-ranks-'));
mkdirSync(folder, { recursive: true });
try {
  await main();
} finally {
  if (options.keep === undefined) rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  const train = {
    iterations,
    batchSize: 4,
    logEvery: 1,
    checkpointEvery: 3,
    evaluateEvery: 8,
  };
  const config = makeTinyTraining(folder, { images: 12, threads: 1, train, validation: 4 });
  const training = (output: string, more: readonly string[] = EXACT) => [
    ...['train', config, '--output', join(folder, output), ...FROZEN],
    ...more,
  ];
  runGoshawk(training('one'));
  runGoshawk(training('two', [...EXACT, ...TWO]));
  runGoshawk(training('one-float32', []));
  runGoshawk(training('two-float32', TWO));
  let failures = 0;
  /** The final weights of a run against those of one that was never stopped. */
  const apartOf = (run: string, reference: string): { readonly holds: boolean; readonly words: string } => {
    const { share } = weightsApart(finalOf(run), finalOf(reference));
    const holds = share < TOLERANCE;
    if (!holds) failures++;
    return { holds, words: share.toExponential(1) };
  };
  const rounded = weightsApart(finalOf('two-float32'), finalOf('one-float32')).share.toExponential(1);
  console.log(`two processes against one, from the start: ${apartOf('two', 'one').words} (in float32 ${rounded})`);
  console.log('round  killed  at iteration  ended after  left  resumed from  as two     as one, against two');
  for (let round = 1; round <= Number(options.kills); round++) {
    const output = `round-${round}`;
    const end = await killOneRank(training(output, [...EXACT, ...TWO]), output, random.integer(2));
    const from = checkpointsOf(inFolder(output)).at(-1) ?? 0;
    // A rank may be killed before anything was written.
    mkdirSync(join(folder, output), { recursive: true });
    cpSync(join(folder, output), join(folder, `${output}-one`), { recursive: true });
    runGoshawk(training(output, [...EXACT, '--resume', ...TWO]));
    runGoshawk(training(`${output}-one`, [...EXACT, '--resume']));
    const asTwo = weightsApart(finalOf(output), finalOf('two')).share;
    const asOne = apartOf(`${output}-one`, 'two');
    const endsWell = end.code === 1 && end.ms < LONGEST_END_MS && end.left === 0 && asTwo === 0;
    if (!endsWell) failures++;
    const holds = endsWell && asOne.holds;
    const cells = [round, `rank ${end.rank}`, end.iteration, `${(end.ms / 1000).toFixed(1)} s`, end.left, from];
    const widths = [5, 6, 12, 11, 4, 12];
    console.log(
      `${cells.map((cell, column) => String(cell).padStart(widths[column]!)).join('  ')}  ` +
        `${asTwo === 0 ? 'identical' : asTwo.toExponential(1)}  ${asOne.words}${holds ? '' : `  FAILS (${end.message})`}`,
    );
  }
  // From one to two.
  await killOneRank(training('grown'), 'grown', undefined);
  const from = checkpointsOf(inFolder('grown')).at(-1) ?? 0;
  runGoshawk(training('grown', [...EXACT, '--resume', ...TWO]));
  console.log(`one process, killed, resumed as two from ${from}, against one: ${apartOf('grown', 'one').words}`);
  console.log(failures > 0 ? `FAILED: ${failures} things do not hold` : `ok: ${options.kills} kills`);
  if (failures > 0) process.exitCode = 1;
}

function inFolder(output: string): string {
  return join(folder, output);
}

function finalOf(output: string): string {
  return join(folder, output, 'final.safetensors');
}

interface End {
  readonly rank: number | undefined;
  readonly iteration: number;
  /** From the kill to the end of the command. */
  readonly ms: number;
  readonly code: number | null;
  readonly message: string;
  /** Processes of the run that are still there. */
  readonly left: number;
}

/** Starts a training and kills a rank at a random moment; without one the training itself. */
async function killOneRank(args: readonly string[], output: string, rank: number | undefined): Promise<End> {
  const child = spawn(process.execPath, [goshawk, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let message = '';
  child.stderr.on('data', (text: Buffer) => {
    message = `${message}${text.toString()}`.slice(-2000);
  });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const at = random.integer(iterations - 2);
  await untilIteration(child, inFolder(output), at);
  await setTimeout(random.uniform() * LONGEST_DELAY_MS);
  let ranks = childrenOf(child.pid!);
  while (rank !== undefined && ranks.length < 2 && child.exitCode === null) {
    await setTimeout(POLL_MS);
    ranks = childrenOf(child.pid!);
  }
  const iteration = lastIteration(inFolder(output));
  process.kill(rank === undefined ? child.pid! : ranks[rank]!, 'SIGKILL');
  const killed = performance.now();
  const code = await exited;
  const left = ranks.filter((pid) => existsSync(`/proc/${pid}`)).length;
  return { rank, iteration, ms: performance.now() - killed, code, message: message.trim().split('\n').at(-1)!, left };
}

function childrenOf(pid: number): number[] {
  if (!existsSync(`/proc/${pid}/task`)) return [];
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}
