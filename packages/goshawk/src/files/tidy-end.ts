// What a process takes away when it ends before its work does: unfinished files, locks.
import { rmSync } from 'node:fs';

const endings = new Set<() => void>();

/**
 * Calls `ending` when the process exits, also by an error or by {@link endTidilyOnSignals}; not by `kill -9`.
 * @returns takes it back
 */
export function atExit(ending: () => void): () => void {
  if (endings.size === 0) process.on('exit', runEndings);
  endings.add(ending);
  return () => {
    endings.delete(ending);
    if (endings.size === 0) process.off('exit', runEndings);
  };
}

/** Removes a file or folder when the process exits. @returns takes it back */
export function removeAtExit(path: string): () => void {
  return atExit(() => rmSync(path, { recursive: true, force: true }));
}

function runEndings(): void {
  // The last begun ends first: a folder is emptied before it is given up.
  for (const ending of [...endings].reverse()) {
    try {
      ending();
    } catch {
      // The other endings are due all the same.
    }
  }
}

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/**
 * From now on a signal ends the process with 128 + its number, between two turns of the event loop: no file is cut in the middle, and
 * what is to be done at exit is done. For commands; where something else listens to a signal, that decides.
 * @returns takes it back
 */
export function endTidilyOnSignals(): () => void {
  for (const [signal, number] of Object.entries(SIGNALS)) {
    if (process.listeners(signal as NodeJS.Signals).some((listener) => listener === listeners.get(signal))) continue;
    const listener = (): void => {
      if (process.listenerCount(signal as NodeJS.Signals) === 1) process.exit(128 + number);
    };
    listeners.set(signal, listener);
    process.on(signal, listener);
  }
  return () => {
    for (const [signal, listener] of listeners) process.off(signal, listener);
  };
}

const listeners = new Map<string, () => void>();
