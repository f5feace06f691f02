// The thread beside a rank's own: tells the supervisor how far that is, also while the engine holds it, and ends the process when the
// supervisor is gone.
import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { type BoardMemory, progressBoard } from './progress-board.js';
import { countedMs, LIFE_SIGN_HANDLE, LIFE_SIGN_MS, type LifeSign, ORPHAN_MS } from './rank-messages.js';

const board = progressBoard(workerData as BoardMemory);
let ticks = -1;
let idleMs = 0;
let last = performance.now();
let orphanedMs: number | undefined;

function giveSign(): void {
  const now = performance.now();
  const elapsed = countedMs(now - last);
  last = now;
  const state = board.read();
  idleMs = state.ticks === ticks ? idleMs + elapsed : 0;
  ticks = state.ticks;
  if (orphanedMs !== undefined) {
    orphanedMs += elapsed;
    // A rank that the engine holds hears of nothing: it cannot end by itself.
    if (orphanedMs >= ORPHAN_MS) process.kill(process.pid, 'SIGKILL');
    return;
  }
  const sign: LifeSign = { isAtWork: state.ticks > 0, iteration: state.iteration, idleMs };
  try {
    writeSync(LIFE_SIGN_HANDLE, `${JSON.stringify(sign)}\n`);
  } catch {
    orphanedMs = 0;
  }
}

giveSign();
setInterval(giveSign, LIFE_SIGN_MS);
