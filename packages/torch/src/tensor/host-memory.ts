// Memory of tensors on the CPU, of the whole process: all its threads share it.
import { native } from './native.js';

/** Bytes of blocks of 32 KiB and more; smaller ones are malloc's. */
export interface HostMemory {
  /** What tensors take, what was taken from the system for them, and the most of both since the process began. */
  readonly inUse: number;
  readonly reserved: number;
  readonly mostInUse: number;
  readonly mostReserved: number;
  /** Freed bytes that stay at most for the next tensors. */
  readonly mostKept: number;
}

/** undefined where `GOSHAWK_ALLOCATOR=malloc` leaves tensors to malloc. */
export function hostMemory(): HostMemory | undefined {
  const memory = native.hostMemory();
  if (!memory) return undefined;
  const [inUse, reserved, mostInUse, mostReserved, mostKept] = memory;
  return { inUse, reserved, mostInUse, mostReserved, mostKept };
}

/** Gives freed memory back to the system. */
export function trimMemory(): void {
  native.trimMemory();
}

/**
 * Lets the engine keep up to so many freed bytes for the next use, and never more than was in use at once: where nothing is said,
 * half of the memory that the process may use, the machine's or its container's. `trimMemory()` gives them back,
 * and so does doing nothing with tensors for so many seconds.
 */
export function keepFreedMemory(bytes: number, idleSeconds = 60): void {
  native.keepFreedMemory(bytes, idleSeconds * 1000);
  if (!native.hostMemory()) native.keepInMalloc(2 ** 30, bytes);
}
