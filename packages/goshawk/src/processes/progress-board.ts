// Where a rank's own thread notes how far it is, and the thread beside it reads that: memory of both.

const [TICKS, ITERATION] = [0, 1];
const BYTES = 8;

/** To be handed to the other thread. */
export type BoardMemory = SharedArrayBuffer;

export interface ProgressBoard {
  readonly memory: BoardMemory;
  /** Something was done. */
  tick(): void;
  /** Steps done so far. */
  setIteration(iteration: number): void;
  read(): { readonly ticks: number; readonly iteration: number };
}

export function progressBoard(memory: BoardMemory = new SharedArrayBuffer(BYTES)): ProgressBoard {
  const integers = new Int32Array(memory);
  return {
    memory,
    tick() {
      Atomics.add(integers, TICKS, 1);
    },
    setIteration(iteration) {
      Atomics.store(integers, ITERATION, iteration);
      Atomics.add(integers, TICKS, 1);
    },
    read: () => ({ ticks: Atomics.load(integers, TICKS), iteration: Atomics.load(integers, ITERATION) }),
  };
}
