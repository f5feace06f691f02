// The engine's libraries and its memory take half a second to come, and a program's modules as long: a thread of its own
// fetches the one while the other is read. What imports this imports no engine.
import { Worker } from 'node:worker_threads';
import { EngineMissingError, readyAddonFile } from '../tensor/addon.js';

export interface AheadOptions {
  /**
   * Bytes of memory on the host to take from the system for tensors: what the first picture's maps lie in would be taken a page at a
   * time while the network waits. None are where a card does the work. Default 0.
   */
  readonly memory?: number;
}

/** What the thread is told. */
export interface AheadWork {
  readonly addon: string;
  readonly memory: number;
}

/**
 * Begins to load the engine, of which the first import of `@goshawk/torch` finds ready what is there by then. Where that will fail
 * nothing happens: the import says why.
 */
export function startEngineAhead({ memory = 0 }: AheadOptions = {}): void {
  let addon: string;
  try {
    addon = readyAddonFile();
  } catch (error) {
    if (error instanceof EngineMissingError) return;
    throw error;
  }
  const workerData: AheadWork = { addon, memory };
  const worker = new Worker(new URL('./engine-worker.js', import.meta.url), { workerData });
  worker.on('error', () => {});
  worker.unref();
}
