// The thread of start-engine.ts: loads the addon and takes memory. It computes nothing, for which the engine would have to be set up.
import { createRequire } from 'node:module';
import { workerData } from 'node:worker_threads';
import type { Native } from '../tensor/native.js';
import type { AheadWork } from './start-engine.js';

/** Bytes taken in one call: other threads' mappings, and an early end of the process, wait for no more. */
const STEP = 2 ** 24;

const { addon, memory } = workerData as AheadWork;
const native = createRequire(import.meta.url)(addon) as Native;
const [driver] = native.cudaDriver();
if (driver !== 'ready') for (let taken = 0; taken < memory; taken += STEP) native.takeMemoryAhead(taken + STEP);
