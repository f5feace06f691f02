// Memory of tensors on the CPU, of the whole process: all its threads share it.
import { native } from './native.js';

/** Bytes of blocks of 32 KiB and more; smaller ones are malloc's. */
export interface HostMemory {
  /** What tensors take, what was taken from the system for them, and the most of both since the process began. */
  readonly inUse: number;
  readonly reserved: number;
  readonly mostInUse: number;
  readonly mostReserved: number;
}

/** undefined where `GOSHAWK_ALLOCATOR=malloc` leaves tensors to malloc. */
export function hostMemory(): HostMemory | undefined {
  const memory = native.hostMemory();
  if (!memory) return undefined;
  const [inUse, reserved, mostInUse, mostReserved] = memory;
  return { inUse, reserved, mostInUse, mostReserved };
}

/** Gives freed memory back to the system. */
export function trimMemory(): void {
  native.trimMemory();
}

/**
 * Lets the engine keep up to so many freed bytes for the next use, 2 GiB where nothing is said, and never more than was in use at
 * once. `trimMemory()` gives them back, and so does doing nothing with tensors for so many seconds.
 */
export function keepFreedMemory(bytes: number, idleSeconds = 60): void {
  native.keepFreedMemory(bytes, idleSeconds * 1000);
  if (!native.hostMemory()) native.keepInMalloc(2 ** 30, bytes);
}
