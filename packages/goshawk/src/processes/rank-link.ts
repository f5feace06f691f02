// A rank's side of its bond with the supervisor that started it.
import { Worker } from 'node:worker_threads';
import { progressBoard } from './progress-board.js';
import {
  RANK_DEVICE,
  RANK_TIMEOUT,
  type RankFailure,
  type RankOrder,
  type RankReport,
  SUPERVISED,
} from './rank-messages.js';

export interface RankLink {
  /** The device that this rank was given; absent: what its config says. */
  readonly device?: string;
  /** Seconds after which a rank that does not get on counts as hung. */
  readonly timeoutSeconds: number;
  /** Something was done. */
  tick(): void;
  /** So many steps are done. */
  setIteration(iteration: number): void;
  /** A line for the person, shown with the rank's number. */
  note(text: string): void;
  /** What is on the disk now, in words. */
  saved(what: string): void;
  /** Tells why this rank ends; resolves when that is on its way. */
  fail(failure: RankFailure): Promise<void>;
}

let link: RankLink | undefined;

/** The bond of this process; undefined where no supervisor started it. The first call forms it. */
export function rankLink(): RankLink | undefined {
  if (link === undefined && process.env[SUPERVISED] !== undefined && process.send !== undefined) link = openLink();
  return link;
}

function openLink(): RankLink {
  const board = progressBoard();
  const worker = new Worker(new URL('./life-signs-worker.js', import.meta.url), {
    workerData: board.memory,
    resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 16 },
  });
  worker.unref();
  const stop = (signal: NodeJS.Signals): void => {
    // As if the signal had come: a terminal sends it to every process itself, and one that came twice would end the work at once.
    if (process.listenerCount(signal) > 0) process.emit(signal, signal);
    else process.kill(process.pid, signal);
  };
  process.on('message', (order: RankOrder) => stop(order.signal));
  process.on('disconnect', () => stop('SIGTERM'));
  // The channel alone does not keep a rank alive whose work is done.
  process.channel?.unref();
  const send = (report: RankReport): Promise<void> =>
    new Promise((resolve) => {
      if (!process.connected) resolve();
      else process.send!(report, undefined, undefined, () => resolve());
    });
  const device = process.env[RANK_DEVICE];
  return {
    ...(device !== undefined && device !== '' && { device }),
    timeoutSeconds: Number(process.env[RANK_TIMEOUT]),
    tick: board.tick,
    setIteration: board.setIteration,
    note: (text) => void send({ kind: 'note', text }),
    saved: (what) => void send({ kind: 'saved', what }),
    fail: (failure) => send({ kind: 'failed', ...failure }),
  };
}
