// Short trainings by the real command on a device: equal ones, one that is killed and resumed, and one in each precision.
// What two equal runs differ by is the card's own noise: several of its kernels add in an order that changes.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { goshawk, type MetricsLine, makeTinyTraining, readMetricsLines } from '../tiny-training.js';
import { messageOf, type Row } from './child-lines.js';
import { eachOf, endOf, runProgram } from './programs.js';

export interface TrainingCheck {
  readonly device: string;
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly iterations: number;
  /** Seconds, of all of it. */
  readonly limit: number;
  /** Trainings side by side. */
  readonly atOnce: number;
}

/** A resumed run may be off by so many times what equal runs are, and by a rounding where these are equal. */
const NOISE_FACTOR = 4;
const ROUNDING = 1e-6;
/** Of the loss of the first steps, what is left at the end of a training that learns. */
const LEARNED = 0.95;

const PLAIN = ['a', 'b', 'c'] as const;

export async function checkTraining(check: TrainingCheck): Promise<Row[]> {
  const { iterations, folder } = check;
  const train = { iterations, logEvery: 1, checkpointEvery: Math.floor(iterations / 2), seed: 3 };
  const config = makeTinyTraining(folder, { images: 16, threads: 1, train });
  const ending = Date.now() + check.limit * 1000;
  const runs: readonly (readonly [name: string, sets: readonly string[], interrupted: boolean])[] = [
    ...PLAIN.map((name) => [name, [], false] as const),
    ['resumed', [], true],
    ['deterministic', ['runtime.deterministic=true'], false],
    ['deterministic and resumed', ['runtime.deterministic=true'], true],
    ['bf16', ['train.precision=bf16'], false],
    ['fp16', ['train.precision=fp16'], false],
  ];
  const outcomes = new Map<string, MetricsLine[] | string>();
  await eachOf(runs, check.atOnce, async ([name, sets, interrupted]) => {
    const limit = (ending - Date.now()) / 1000;
    const output = join(folder, name.replaceAll(' ', '-'));
    const args = [
      'train',
      config,
      '--output',
      output,
      ...[`runtime.device=${check.device}`, ...sets].flatMap((set) => ['--set', set]),
    ];
    try {
      if (limit < 1) throw new Error('the time for the trainings was over');
      if (interrupted) await killAfter(Math.floor(iterations / 2) + 2, args, output, { ...check, limit });
      const ended = await runProgram([goshawk, ...args, ...(interrupted ? ['--resume'] : [])], {
        env: check.env,
        limit: Math.max(1, (ending - Date.now()) / 1000),
      });
      if (ended.code !== 0) throw new Error(endOf(ended));
      outcomes.set(name, readMetricsLines(output));
    } catch (error) {
      outcomes.set(name, messageOf(error));
    }
  });
  return rowsOf(outcomes, iterations);
}

/** Starts a training and kills it as soon as an iteration is on the disk, between two checkpoints. */
async function killAfter(
  iteration: number,
  args: readonly string[],
  output: string,
  { env, limit }: TrainingCheck,
): Promise<void> {
  const child = spawn(process.execPath, [goshawk, ...args], { env, stdio: 'ignore' });
  const ended = new Promise<void>((done) => child.on('close', () => done()));
  const last = Date.now() + limit * 1000;
  const reached = (): boolean =>
    existsSync(join(output, 'metrics.jsonl')) &&
    (readMetricsLines(output, { afterKill: true }).at(-1)?.iteration ?? 0) >= iteration;
  while (child.exitCode === null && !reached() && Date.now() < last) await setTimeout(5);
  child.kill('SIGKILL');
  await ended;
}

function rowsOf(outcomes: ReadonlyMap<string, MetricsLine[] | string>, iterations: number): Row[] {
  const get = (name: string): MetricsLine[] | string => outcomes.get(name) ?? 'was not run';
  const plain = PLAIN.map(get);
  const resumed = get('resumed');
  const rows: Row[] = [];
  const whole = plain.filter((lines) => typeof lines !== 'string');
  const failed = plain.find((lines) => typeof lines === 'string');
  rows.push(
    failed === undefined
      ? learned('training, fp32', whole[0]!)
      : { name: 'training, fp32', state: 'failed', detail: String(failed) },
  );
  let noise = 0;
  if (whole.length >= 2) {
    const pairs = whole.flatMap((a, i) => whole.slice(i + 1).map((b) => differenceOf(a, b)));
    noise = Math.max(...pairs);
    rows.push({
      name: 'noise of equal trainings',
      state: 'stated',
      detail: `losses within ${noise.toExponential(1)} over ${iterations} steps, of ${whole.length} runs`,
    });
  }
  if (typeof resumed === 'string' || whole.length < 2) {
    rows.push({
      name: 'killed and resumed',
      state: 'failed',
      detail: typeof resumed === 'string' ? resumed : 'nothing to compare it with',
    });
  } else {
    const off = Math.min(...whole.map((lines) => differenceOf(lines, resumed)));
    const limit = Math.max(NOISE_FACTOR * noise, ROUNDING);
    const isClose = resumed.length === whole[0]!.length && off <= limit;
    rows.push({
      name: 'killed and resumed',
      state: isClose ? 'ok' : 'failed',
      detail: `losses within ${off.toExponential(1)} of an uninterrupted training, at most ${limit.toExponential(1)}`,
    });
  }
  rows.push(deterministicRow(get('deterministic'), get('deterministic and resumed')));
  for (const precision of ['bf16', 'fp16']) {
    const lines = get(precision);
    const name = `training, ${precision}`;
    rows.push(typeof lines === 'string' ? { name, state: 'failed', detail: lines } : learned(name, lines));
  }
  return rows;
}

function deterministicRow(whole: MetricsLine[] | string, resumed: MetricsLine[] | string): Row {
  const name = 'runtime.deterministic: killed and resumed';
  if (typeof whole === 'string') return { name, state: 'failed', detail: whole };
  if (typeof resumed === 'string') return { name, state: 'failed', detail: resumed };
  const off = differenceOf(whole, resumed);
  const isEqual = off === 0 && whole.length === resumed.length;
  return {
    name,
    state: isEqual ? 'ok' : 'failed',
    detail: isEqual ? 'losses equal to the last bit' : `losses differ by ${off.toExponential(1)}`,
  };
}

function learned(name: string, lines: readonly MetricsLine[]): Row {
  const some = Math.max(1, Math.floor(lines.length / 5));
  const mean = (part: readonly MetricsLine[]): number => part.reduce((sum, line) => sum + line.loss!, 0) / part.length;
  const [first, last] = [mean(lines.slice(0, some)), mean(lines.slice(-some))];
  const state = last < LEARNED * first ? 'ok' : 'failed';
  return { name, state, detail: `loss from ${first.toFixed(3)} to ${last.toFixed(3)} in ${lines.length} steps` };
}

/** The largest relative difference of the losses of a step. */
function differenceOf(a: readonly MetricsLine[], b: readonly MetricsLine[]): number {
  const count = Math.min(a.length, b.length);
  let worst = 0;
  for (let i = 0; i < count; i++) {
    const [own, other] = [a[i]!.loss!, b[i]!.loss!];
    const off = Math.abs(own - other) / Math.abs(other);
    worst = Math.max(worst, Number.isNaN(off) ? Number.POSITIVE_INFINITY : off);
  }
  return worst;
}
