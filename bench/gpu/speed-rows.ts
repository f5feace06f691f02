// Ours against torchvision on a device: training steps and predictions in turns, then single kernels and where our time goes.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { median, PeerProcess } from '../peer-process.js';
import { messageOf, type Row } from './child-lines.js';
import { writeScenes } from './detector-scenes.js';
import { TIMED_KERNEL_NAMES } from './kernel-names.js';
import { programPath } from './programs.js';

export interface SpeedCheck {
  readonly device: string;
  readonly python: string;
  readonly env: NodeJS.ProcessEnv;
  readonly folder: string;
  readonly threads: number;
  readonly quick: boolean;
  /** Seconds that are left for all of it. */
  readonly left: () => number;
}

export interface SpeedCase {
  readonly mode: 'train' | 'predict';
  readonly images: number;
  readonly precision: 'fp32' | 'bf16' | 'fp16';
}

/** Figures of one case; milliseconds and bytes, null where they could not be had. */
export interface SpeedFigures extends SpeedCase {
  readonly size: readonly [height: number, width: number];
  readonly ours: number | null;
  readonly plain: number | null;
  readonly tuned: number | null;
  readonly memory: { readonly ours: number | null; readonly plain: number | null; readonly tuned: number | null };
  /** Of ours, what a step waited for its data. */
  readonly data: number | null;
  /** What a prediction of ours spends in its stages. */
  readonly stages?: string;
  readonly problems: readonly string[];
}

export interface SpeedReport {
  readonly rows: readonly Row[];
  readonly cases: readonly SpeedFigures[];
  readonly kernels: readonly {
    readonly name: string;
    readonly ours: number | null;
    readonly plain: number | null;
    readonly tuned: number | null;
  }[];
  readonly profile?: Profile;
  readonly versions: Readonly<Record<string, string>>;
}

interface Profile {
  readonly parts: Readonly<Record<string, number>>;
  /** Operators called from TypeScript. */
  readonly calls: number;
  readonly operators: readonly { readonly name: string; readonly calls: number; readonly ms: number }[];
  readonly own: readonly { readonly name: string; readonly calls: number; readonly ms: number }[];
}

/** What is asked for: ours over torchvision's as it comes. */
const GOALS = { train: 0.8, predict: 0.7, memory: 1 } as const;
/** In order of how much each says, should time run out. */
const CASES: readonly SpeedCase[] = [
  { mode: 'train', images: 2, precision: 'fp32' },
  { mode: 'train', images: 8, precision: 'fp32' },
  { mode: 'predict', images: 1, precision: 'fp32' },
  { mode: 'train', images: 2, precision: 'bf16' },
  { mode: 'train', images: 8, precision: 'bf16' },
  { mode: 'predict', images: 1, precision: 'bf16' },
  { mode: 'train', images: 2, precision: 'fp16' },
  { mode: 'train', images: 8, precision: 'fp16' },
  { mode: 'predict', images: 1, precision: 'fp16' },
];
/** Seconds on a card after which something hangs. */
const LONGEST_ANSWER = 60;
const LATE = 'its time was over';
const SIDES = ['ours', 'plain', 'tuned'] as const;
type Side = (typeof SIDES)[number];
type Answer<T> = T | { readonly error: string };
interface Timed {
  readonly seconds: number;
  /** Of them, those of waiting for data. */
  readonly data?: number;
  readonly stages?: string;
  readonly objects: number;
  readonly loss: number | null;
}
interface Memory {
  readonly reserved: number | null;
  readonly taken: number | null;
}

export async function checkSpeed(check: SpeedCheck): Promise<SpeedReport> {
  const { device, python, env, folder, threads, quick } = check;
  const size = quick ? ([64, 80] as const) : ([800, 1066] as const);
  mkdirSync(folder, { recursive: true });
  const scenes = await writeScenes(folder, { height: size[0], width: size[1] }, 16);
  const weights = join(folder, 'weights.pth');
  const peer = programPath('../../peers/gpu.py');
  const ours = ['--expose-gc', programPath('detector-ours.js'), device];
  const start: Record<Side, () => PeerProcess> = {
    plain: () => new PeerProcess(python, [peer, device], env),
    tuned: () => new PeerProcess(python, [peer, device, '--tuned'], env),
    ours: () => new PeerProcess(process.execPath, ours, env),
  };
  const processes = new Map<Side, PeerProcess>();
  /** The answer; a process that ended, hangs or has lost the card is replaced before the next case. */
  const ask = async <T>(side: Side, question: object): Promise<Answer<T>> => {
    const process = processes.get(side);
    if (process === undefined) return { error: 'its process is gone' };
    const limit = Math.min(check.left(), device === 'cpu' ? 3600 : LONGEST_ANSWER);
    const answer = await within<T>(process, question, limit);
    if (isOver(answer)) {
      processes.delete(side);
      process.close();
    }
    return answer;
  };
  const rows: Row[] = [];
  const cases: SpeedFigures[] = [];
  const kernels: SpeedReport['kernels'][number][] = [];
  let profile: Profile | undefined;
  let versions: Record<string, string> = {};
  try {
    // They write their fresh weights, we and the tuned one read them: all compute the same.
    const common = { do: 'setup', size, threads, quick, classes: 91 };
    const setups: Record<Side, object> = {
      plain: { ...common, write: weights, read: null },
      tuned: { ...common, write: null, read: weights },
      ours: { ...common, weights, ...scenes },
    };
    const begin = async (side: Side): Promise<Record<string, string>> => {
      processes.set(side, start[side]());
      return given(await ask<Record<string, string>>(side, setups[side]));
    };
    const plain = await begin('plain');
    const [own] = await Promise.all([begin('ours'), begin('tuned')]);
    setups.plain = { ...common, write: null, read: weights };
    versions = {
      libtorch: own.version!,
      torch: plain.torch!,
      torchvision: plain.torchvision!,
      ...(plain.card && { card: plain.card }),
    };
    /** Seconds of the last case of a mode and batch: another precision takes about as long. */
    const lasted = new Map<string, number>();
    for (const full of CASES) {
      const one = quick ? { ...full, images: Math.min(3, full.images) } : full;
      const name = `${one.mode === 'train' ? 'step' : 'prediction'}, ${one.images} images, ${one.precision}`;
      const kind = `${one.mode} ${one.images}`;
      const expected = lasted.get(kind) ?? 0;
      if (check.left() < expected * 1.2) {
        rows.push({
          name,
          state: 'skipped',
          detail: `${check.left().toFixed(0)} s are left, such a case takes ${expected.toFixed(0)} s`,
        });
        continue;
      }
      for (const side of SIDES) if (!processes.has(side)) await begin(side).catch(() => undefined);
      const begun = performance.now();
      const figures = await compareCase(one, size, ask, quick);
      lasted.set(kind, (performance.now() - begun) / 1000);
      cases.push(figures);
      rows.push(...judge(name, figures));
      process.stderr.write(
        `check-gpu:   ${name}: ${describe(figures)} (${((performance.now() - begun) / 1000).toFixed(0)} s)\n`,
      );
    }
    // The memory of the last case is given back before anything else is timed.
    if (check.left() > 10) {
      const answer = await ask<Profile>('ours', { do: 'profile', images: 2, precision: 'fp32' });
      if ('error' in answer) rows.push({ name: 'profile of a step', state: 'failed', detail: answer.error });
      else profile = answer;
    } else rows.push({ name: 'profile of a step', state: 'skipped', detail: 'no time was left' });
    for (const name of TIMED_KERNEL_NAMES) {
      if (check.left() < 3) {
        rows.push({ name, state: 'skipped', detail: 'no time was left' });
        continue;
      }
      const times: Record<Side, number | null> = { ours: null, plain: null, tuned: null };
      for (const side of SIDES) {
        const answer = await ask<{ seconds: number }>(side, { do: 'kernel', name, quick });
        if ('error' in answer)
          rows.push({ name: `${name} (${side})`, state: side === 'ours' ? 'failed' : 'stated', detail: answer.error });
        else times[side] = answer.seconds * 1000;
      }
      kernels.push({ name, ...times });
    }
  } catch (error) {
    rows.push({ name: 'comparison with torchvision', state: 'failed', detail: messageOf(error) });
  } finally {
    for (const process of processes.values()) process.close();
  }
  return { rows, cases, kernels, versions, ...(profile && { profile }) };
}

async function compareCase(
  one: SpeedCase,
  size: readonly [number, number],
  ask: <T>(side: Side, question: object) => Promise<Answer<T>>,
  quick: boolean,
): Promise<SpeedFigures> {
  const count = quick ? 1 : one.mode === 'train' ? 3 : 5;
  const rounds = quick ? 1 : 4;
  const problems: string[] = [];
  const working = new Set<Side>();
  const memory: Record<Side, number | null> = { ours: null, plain: null, tuned: null };
  // One after another, each warmed up and its memory read before the next: what the card lacks then is its own.
  for (const side of SIDES) {
    const steps = [
      () => ask<object>(side, { do: 'prepare', ...one }),
      () => ask<Timed>(side, { do: 'run', count: quick ? 1 : Math.max(2, count) }),
      () => ask<object>(side, { do: 'settle' }),
      () => ask<Timed>(side, { do: 'run', count: 1 }),
    ];
    const failed = await firstError(steps);
    if (failed !== undefined) {
      problems.push(`${side}: ${failed}`);
      continue;
    }
    working.add(side);
    const used = await ask<Memory>(side, { do: 'memory' });
    if (!('error' in used)) memory[side] = used.reserved ?? used.taken;
  }
  const times: Record<Side, number[]> = { ours: [], plain: [], tuned: [] };
  const waits: number[] = [];
  let stages: string | undefined;
  for (let round = 0; round < rounds; round++) {
    for (const side of SIDES) {
      if (!working.has(side)) continue;
      const answer = await ask<Timed>(side, { do: 'run', count });
      if ('error' in answer) {
        problems.push(`${side}: ${answer.error}`);
        working.delete(side);
      } else {
        times[side].push(answer.seconds * 1000);
        if (answer.data !== undefined) waits.push(answer.data * 1000);
        stages = answer.stages ?? stages;
        if (answer.loss !== null && !Number.isFinite(answer.loss)) problems.push(`${side}: the loss is ${answer.loss}`);
      }
    }
  }
  const middle = (side: Side): number | null => (times[side].length > 0 ? median(times[side]) : null);
  return {
    ...one,
    size,
    ours: middle('ours'),
    plain: middle('plain'),
    tuned: middle('tuned'),
    data: waits.length > 0 ? median(waits) : null,
    ...(stages !== undefined && { stages }),
    memory,
    problems: [...new Set(problems)],
  };
}

async function firstError(steps: readonly (() => Promise<Answer<object>>)[]): Promise<string | undefined> {
  for (const step of steps) {
    const answer = await step();
    if ('error' in answer) return String(answer.error);
  }
  return undefined;
}

/** Rows for what is asked of a case: its time and its memory. */
function judge(name: string, { mode, ours, data, stages, plain, tuned, memory, problems }: SpeedFigures): Row[] {
  const own = problems.filter((problem) => problem.startsWith('ours'));
  if (ours === null || plain === null)
    return [{ name, state: 'failed', detail: problems.join('; ') || 'not measured' }];
  const ratio = ours / plain;
  const ofTuned = tuned === null ? '' : `, ${(ours / tuned).toFixed(2)} of the tuned ${tuned.toFixed(1)} ms`;
  const state = own.length > 0 ? 'failed' : ratio <= GOALS[mode] ? 'ok' : 'missed';
  const rows: Row[] = [
    {
      name,
      state,
      detail: `${ours.toFixed(1)} ms, ${ratio.toFixed(2)} of torchvision's ${plain.toFixed(1)} ms (at most ${GOALS[mode]})${ofTuned}${data === null ? '' : `; ${data.toFixed(1)} ms of ours waiting for data`}${stages === undefined ? '' : `; ours: ${stages}`}${problems.length > 0 ? `; ${problems.join('; ')}` : ''}`,
    },
  ];
  if (memory.ours !== null && memory.plain !== null) {
    const share = memory.ours / memory.plain;
    const detail = `${(memory.ours / 1e9).toFixed(2)} GB, ${share.toFixed(2)} of torchvision's ${(memory.plain / 1e9).toFixed(2)} GB (at most ${GOALS.memory})`;
    rows.push({ name: `memory, ${name}`, state: share <= GOALS.memory ? 'ok' : 'missed', detail });
  }
  return rows;
}

function describe({ ours, data, plain, tuned, problems }: SpeedFigures): string {
  const shown = (value: number | null): string => (value === null ? '-' : `${value.toFixed(1)} ms`);
  return `ours ${shown(ours)}${data === null ? '' : ` (waiting for data ${shown(data)})`}, torchvision ${shown(plain)}, tuned ${shown(tuned)}${problems.length > 0 ? `; ${problems.join('; ')}` : ''}`;
}

function given<T extends object>(answer: Answer<T>): T {
  if ('error' in answer) throw new Error(String(answer.error));
  return answer as T;
}

/** Whether its process has no more to say: what a card fails at once stays so. */
function isOver(answer: unknown): boolean {
  const error = (answer as { error?: unknown } | null)?.error;
  return typeof error === 'string' && (error === LATE || / ended: |CUDA error|CUDA driver error/.test(error));
}

/** The answer, or that it did not come in time. */
async function within<T>(peer: PeerProcess, question: object, seconds: number): Promise<Answer<T>> {
  if (seconds <= 0) return { error: 'no time was left' };
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<{ error: string }>((done) => {
    timer = setTimeout(() => done({ error: LATE }), seconds * 1000);
  });
  try {
    return await Promise.race([
      peer.ask<Answer<T>>(question).catch((error: unknown) => ({ error: messageOf(error) })),
      late,
    ]);
  } finally {
    clearTimeout(timer);
  }
}
