// Starts the processes of a run on this machine, watches them, and ends all when one of them cannot go on. It loads no engine and
// waits for nobody, so that it can judge those that do.
import { type ChildProcess, spawn } from 'node:child_process';
import { hostname } from 'node:os';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { InputError } from '@goshawk/core';
import { RunFailure } from '../files/run-failure.js';
import {
  countedMs,
  LIFE_SIGN_MS,
  type LifeSign,
  RANK_DEVICE,
  RANK_TIMEOUT,
  type RankFailure,
  type RankOrder,
  type RankReport,
  SUPERVISED,
} from './rank-messages.js';
import { environmentOf, type RankPlace } from './rank-place.js';

/** After the first failure the others have so long to write what they have; the whole run has ended within ten seconds then. */
const GRACE_MS = 6000;
/** So long, of those that were waited for in vain, where no other is left: they may be about to say why. */
const SILENT_GRACE_MS = 1500;
const STOP_SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;
type StopSignal = keyof typeof STOP_SIGNALS;
/** Reading a data set and building a model may take longer than a step. */
const LONGEST_START_MS = 300_000;
/** Of what a rank wrote to stderr, so much is kept to say why it crashed. */
const KEPT_STDERR = 2000;

export interface SupervisedRun {
  /** The program and its first arguments, such as Node and the command's file. */
  readonly command: readonly string[];
  /** Further arguments, the same for every rank. */
  readonly args: readonly string[];
  /** What every rank finds in its environment besides its place. */
  readonly environment: NodeJS.ProcessEnv;
  /** The place of each process of this machine, and the device it gets; absent: what its config says. */
  readonly ranks: readonly { readonly place: RankPlace; readonly device?: string }[];
  /** So long may a rank do nothing, or wait for others, before the run ends. */
  readonly timeoutSeconds: number;
  /** Where lines for the person go; default stderr. */
  readonly onNote?: (line: string) => void;
}

/** One rank as the supervisor sees it. */
interface Watched {
  readonly place: RankPlace;
  readonly device: string | undefined;
  readonly child: ChildProcess;
  /** Absent before the first. */
  sign?: LifeSign;
  /** Milliseconds since the last sign of life. */
  silentMs: number;
  stderr: string;
  failure?: RankFailure;
  /** Why the supervisor ended it. */
  verdict?: string;
  /** What a rank that waited for this one in vain said. */
  missedBy?: string;
  ended?: { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly order: number };
  /** Whether the supervisor killed it, for whatever reason. */
  killed: boolean;
}

/**
 * Runs all ranks to their end.
 * @returns the exit code: 0, or 128 + the number of the signal by which a person ended work that has no later
 * @throws RunFailure naming the rank, where it ran, why it ended and what is kept; InputError where a rank found the input wrong
 */
export async function superviseRanks(run: SupervisedRun): Promise<number> {
  const note = run.onNote ?? ((line: string) => process.stderr.write(`${line}\n`));
  const watched: Watched[] = [];
  let saved: string | undefined;
  let stopping: StopSignal | undefined;
  let graceMs: number | undefined;
  let silentGraceMs = 0;
  let ends = 0;

  const killAll = (): void => {
    for (const rank of watched) if (rank.ended === undefined) kill(rank);
  };
  const stopAll = (signal: StopSignal): void => {
    const order: RankOrder = { kind: 'stop', signal };
    for (const { child, ended, sign } of watched) {
      if (ended !== undefined) continue;
      // Before it is at work a rank may wait for others, and hear of nothing: it has no end of its own to make then.
      if (sign?.isAtWork !== true) child.kill(signal);
      else if (child.connected) child.send(order, () => {});
    }
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping !== undefined) {
      killAll();
      return;
    }
    stopping = signal as StopSignal;
    stopAll(stopping);
  };
  const onEnd = (rank: Watched): void => {
    const signal = handledSignal(rank);
    if (signal !== undefined && stopping === undefined) {
      // Somebody ended one rank alone: all of them are meant.
      stopping = signal;
      stopAll(signal);
    }
    // Wrong input is so for all, and nothing was begun.
    if (rank.failure?.exitCode === 2) killAll();
    if (!endedWell(rank) || signal !== undefined) graceMs ??= 0;
  };
  // Whatever ends this process takes its ranks with it.
  process.on('exit', killAll);
  for (const signal of Object.keys(STOP_SIGNALS)) process.on(signal, onSignal);
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    const elapsed = countedMs(now - last);
    last = now;
    for (const rank of watched) rank.silentMs += elapsed;
    if (graceMs !== undefined) {
      graceMs += elapsed;
      if (graceMs >= GRACE_MS) killAll();
      const left = watched.filter(({ ended }) => ended === undefined);
      if (left.every(({ missedBy }) => missedBy !== undefined)) silentGraceMs += elapsed;
      if (silentGraceMs >= SILENT_GRACE_MS) killAll();
      return;
    }
    const hung = hungRank(watched, run.timeoutSeconds);
    if (hung === undefined) return;
    const others = hung.place.size > watched.length ? ' (it hangs, or cannot reach the ranks of another machine)' : '';
    hung.verdict = `did not get on for ${run.timeoutSeconds} s${others}`;
    kill(hung);
  }, LIFE_SIGN_MS);
  try {
    await Promise.all(
      run.ranks.map(({ place, device }) => {
        const rank: Watched = {
          place,
          device,
          child: startRank(run, place, device),
          silentMs: 0,
          stderr: '',
          killed: false,
        };
        watched.push(rank);
        return watch(rank, {
          note: (text) => note(`rank ${place.rank}: ${text}`),
          saved: (what) => {
            saved = what;
          },
          failed: ({ message, isConsequence, blames }) => {
            // One that waited in vain names those that did not come: of these, one that says nothing itself hangs.
            if (!isConsequence) return;
            for (const other of watched) if (blames.includes(other.place.rank)) other.missedBy ??= message;
          },
          ended: () => {
            ends += 1;
            onEnd(rank);
          },
          order: () => ends,
        });
      }),
    );
  } finally {
    clearInterval(timer);
    killAll();
    process.off('exit', killAll);
    for (const signal of Object.keys(STOP_SIGNALS)) process.off(signal, onSignal);
  }
  return outcomeOf(watched, { stopping, saved });
}

function startRank({ command, args, environment, timeoutSeconds }: SupervisedRun, place: RankPlace, device?: string) {
  const isWriter = place.rank === 0;
  const [program, ...first] = command;
  // The rank that writes has the terminal to itself.
  const output = isWriter ? 'inherit' : 'ignore';
  return spawn(program!, [...first, ...args], {
    stdio: ['ignore', output, isWriter ? 'inherit' : 'pipe', 'ipc', 'pipe'],
    serialization: 'json',
    env: {
      ...process.env,
      ...environment,
      ...environmentOf(place),
      [SUPERVISED]: 'yes',
      [RANK_DEVICE]: device ?? '',
      [RANK_TIMEOUT]: String(timeoutSeconds),
    },
  });
}

interface Watching {
  readonly note: (text: string) => void;
  readonly saved: (what: string) => void;
  readonly failed: (failure: RankFailure) => void;
  readonly ended: () => void;
  /** How many ranks have ended before. */
  readonly order: () => number;
}

/** Resolves when the process has ended and all that it said is heard. */
function watch(rank: Watched, { note, saved, failed, ended, order }: Watching): Promise<void> {
  const { child } = rank;
  child.stderr?.on('data', (text: Buffer) => {
    rank.stderr = (rank.stderr + text.toString()).slice(-KEPT_STDERR);
  });
  const signs = child.stdio[4] as Readable;
  // A pipe that breaks says no more than the end of the process.
  signs.on('error', () => {});
  createInterface({ input: signs }).on('line', (line) => {
    rank.silentMs = 0;
    try {
      rank.sign = JSON.parse(line) as LifeSign;
    } catch {
      // Cut short by a kill.
    }
  });
  child.on('message', (report: RankReport) => {
    switch (report.kind) {
      case 'note':
        note(report.text);
        break;
      case 'saved':
        saved(report.what);
        break;
      case 'failed':
        rank.failure = report;
        failed(report);
        break;
    }
  });
  return new Promise((resolve) => {
    const end = (code: number | null, signal: NodeJS.Signals | null): void => {
      if (rank.ended !== undefined) return;
      rank.ended = { code, signal, order: order() };
      ended();
    };
    child.on('error', (error) => {
      rank.failure ??= { message: error.message, exitCode: 1, isConsequence: false, blames: [] };
      // It was never started: there will be no end.
      if (child.pid === undefined) {
        end(1, null);
        resolve();
      }
    });
    child.on('exit', end);
    child.on('close', () => resolve());
  });
}

/** The rank that has kept still longest, where that is too long. */
function hungRank(watched: readonly Watched[], timeoutSeconds: number): Watched | undefined {
  const limit = timeoutSeconds * 1000;
  const startLimit = Math.max(limit, LONGEST_START_MS);
  // What the rank itself counts, and what came after its last word.
  const stillFor = ({ sign, silentMs }: Watched): number =>
    (sign?.idleMs ?? 0) + Math.max(0, silentMs - 2 * LIFE_SIGN_MS);
  const isHung = (rank: Watched): boolean => {
    const { ended, sign, silentMs } = rank;
    if (ended !== undefined) return false;
    return stillFor(rank) > (sign?.isAtWork ? limit : startLimit) || (sign !== undefined && silentMs > limit);
  };
  const hung = watched.filter(isHung);
  return hung.sort((a, b) => stillFor(b) - stillFor(a))[0];
}

function kill(rank: Watched): void {
  rank.killed = true;
  rank.child.kill('SIGKILL');
}

/** Whether others waited for it in vain, and it had to be ended. */
function isSilent({ missedBy, killed, failure }: Watched): boolean {
  return missedBy !== undefined && killed && failure === undefined;
}

function endedWell({ ended, failure }: Watched): boolean {
  return ended?.code === 0 && failure === undefined;
}

/** The signal that a rank ended with by itself, tidily. */
function handledSignal({ ended }: Watched): StopSignal | undefined {
  const names = Object.keys(STOP_SIGNALS) as StopSignal[];
  return names.find((name) => ended?.code === 128 + STOP_SIGNALS[name]);
}

function outcomeOf(
  watched: readonly Watched[],
  { stopping, saved }: { readonly stopping: StopSignal | undefined; readonly saved: string | undefined },
): number {
  const failed = watched.filter((rank) => !endedWell(rank));
  if (failed.length === 0) return 0;
  // Those that only missed a partner that a person had ended.
  const isByPerson = (rank: Watched): boolean =>
    rank.killed ||
    rank.failure?.isConsequence === true ||
    handledSignal(rank) !== undefined ||
    rank.ended?.signal === stopping;
  const isAccused = (rank: Watched): boolean => rank.verdict !== undefined || isSilent(rank);
  if (stopping !== undefined && failed.every(isByPerson) && !failed.some(isAccused))
    return 128 + STOP_SIGNALS[stopping];
  const culprit = [...failed].sort((a, b) => blame(a) - blame(b) || a.ended!.order - b.ended!.order)[0]!;
  throw failureOf(culprit, saved);
}

/** The less, the likelier the rank that the others fell over. */
function blame(rank: Watched): number {
  const { verdict, failure, killed, ended } = rank;
  if (verdict !== undefined || isSilent(rank)) return 0;
  if (failure !== undefined) return failure.isConsequence ? 3 : 1;
  if (killed) return 4;
  // The engine ends a process that got half of a message, which may be a partner's death.
  return ended?.signal === 'SIGABRT' ? 2 : 1;
}

/** A line that says which rank, where, why, and what there is to go on from. */
function failureOf(rank: Watched, saved: string | undefined): Error {
  const { place, device, child, failure, verdict, killed, ended, sign, stderr } = rank;
  // What is wrong with the input is so for every rank.
  if (failure?.exitCode === 2) return new InputError('usage', failure.message);
  const where = `rank ${place.rank} of ${place.size} (${device === undefined ? '' : `${device}, `}process ${child.pid ?? 'not started'} on ${hostname()})`;
  const when = sign && sign.iteration > 0 ? ` after iteration ${sign.iteration}` : '';
  const lastWords = stderr.trim().split('\n').at(-1)?.trim();
  const isOwnEnd = !killed && ended?.signal != null;
  const reason = ended?.signal === 'SIGKILL' ? ' (by a person, or by the system where memory was short)' : '';
  const missed = isSilent(rank) ? `did not answer (${rank.missedBy})` : undefined;
  const how = isOwnEnd
    ? `was ended by ${ended.signal}${reason}`
    : (verdict ?? missed ?? `ended with ${ended?.signal ?? `code ${ended?.code}`}`);
  const why = failure !== undefined ? failure.message : `${how}${when}${lastWords ? ` (${lastWords})` : ''}`;
  const isTold = saved === undefined || why.includes(saved);
  return new RunFailure(`${where}: ${why}${isTold ? '' : `; ${saved}: continue with --resume`}`);
}
