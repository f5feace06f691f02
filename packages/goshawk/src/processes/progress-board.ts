// Where a rank's own thread notes how far it is, and the thread beside it reads that: memory of both.

const TEXT_BYTES = 64;
const [TICKS, ITERATION, TEXT_LENGTH] = [0, 1, 2];
const INTEGERS = 4;

/** To be handed to the other thread. */
export type BoardMemory = SharedArrayBuffer;

export interface ProgressBoard {
  readonly memory: BoardMemory;
  /** Something was done. */
  tick(): void;
  /** Steps done so far. */
  setIteration(iteration: number): void;
  /** What is waited in from now on, a few words; undefined: no longer. */
  setWaiting(what: string | undefined): void;
  read(): { readonly ticks: number; readonly iteration: number; readonly waitsIn: string | undefined };
}

export function progressBoard(memory: BoardMemory = new SharedArrayBuffer(INTEGERS * 4 + TEXT_BYTES)): ProgressBoard {
  const integers = new Int32Array(memory, 0, INTEGERS);
  const text = new Uint8Array(memory, INTEGERS * 4, TEXT_BYTES);
  return {
    memory,
    tick() {
      Atomics.add(integers, TICKS, 1);
    },
    setIteration(iteration) {
      Atomics.store(integers, ITERATION, iteration);
      Atomics.add(integers, TICKS, 1);
    },
    setWaiting(what) {
      const bytes = Buffer.from(what ?? '').subarray(0, TEXT_BYTES);
      text.set(bytes);
      Atomics.store(integers, TEXT_LENGTH, bytes.length);
      Atomics.add(integers, TICKS, 1);
    },
    read() {
      const length = Atomics.load(integers, TEXT_LENGTH);
      return {
        ticks: Atomics.load(integers, TICKS),
        iteration: Atomics.load(integers, ITERATION),
        waitsIn: length === 0 ? undefined : Buffer.from(text.slice(0, length)).toString(),
      };
    },
  };
}
