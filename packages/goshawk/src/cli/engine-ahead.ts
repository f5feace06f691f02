// The engine on its way while a command's other modules are read.
import { statSync } from 'node:fs';
import { startEngineAhead } from '@goshawk/torch/ahead';

/**
 * Of a file of weights a network takes some four times as much: them, them in the order in which kernels read them (3x3 convolutions
 * four times as large), and a picture's maps. Mask R-CNN R-50-FPN on 800 x 1066: 780 of 178 MB.
 */
const MEMORY_PER_WEIGHT = 4;
const MOST_MEMORY = 2 ** 30;
/** Of what the machine has left. */
const MOST_SHARE = 0.25;

/**
 * Starts the engine for a prediction by this process.
 * @param weights the file; one that is not there takes no memory
 */
export function startEngineFor(weights: string): void {
  const size = statSync(weights, { throwIfNoEntry: false })?.size ?? 0;
  startEngineAhead({ memory: Math.min(size * MEMORY_PER_WEIGHT, MOST_MEMORY, process.availableMemory() * MOST_SHARE) });
}
