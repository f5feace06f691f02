// How much freed memory the engine keeps for the next tensors where nothing is said.
import { totalmem } from 'node:os';

/**
 * Half of the memory that the process may use, in bytes: a training whose steps free more than is kept takes that anew at each.
 * @param machine its memory
 * @param container the limit of the container (cgroup); 0, undefined or more than there is: none
 */
export function keptByDefault(
  machine: number = totalmem(),
  container: number | undefined = process.constrainedMemory(),
): number {
  return Math.floor(Math.min(machine, container || machine) / 2);
}
