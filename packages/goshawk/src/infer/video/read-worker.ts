// The thread that reads a film: frames from ffmpeg into free slots, and as the network takes them.
import { parentPort, workerData } from 'node:worker_threads';
import { FrameDecoder } from '../../data/video/index.js';
import { prepareBatch } from '../prepare-batch.js';
import { type FromReader, frameOf, type ReaderSetup, SLOTS } from './frame-messages.js';

const port = parentPort!;
const setup = workerData as ReaderSetup;
const { facts, slots, batchSize, preprocess, maxFrames, maxSeconds, freed } = setup;
const tell = (message: FromReader): void => port.postMessage(message);

const decoder = new FrameDecoder(setup);
const free = Array.from({ length: Math.min(SLOTS, slots.length) }, (_, slot) => slot);
let isStopped = false;
let wake: (() => void) | undefined;
freed.on('message', (slot: number) => {
  free.push(slot);
  wake?.();
});
port.on('message', () => {
  isStopped = true;
  decoder.stop();
  wake?.();
});

tell({ kind: 'started', pid: decoder.pid });
const reachedLimit = await readAll();
if (reachedLimit) decoder.stop();
tell({ kind: 'end', end: await decoder.end(), reachedLimit });
freed.close();
port.close();

/** @returns whether a limit ended it, with frames left */
async function readAll(): Promise<boolean> {
  let count = 0;
  let begin: number | undefined;
  for (;;) {
    while (free.length === 0 && !isStopped)
      await new Promise<void>((done) => {
        wake = done;
      });
    if (isStopped) return false;
    const slot = free.shift()!;
    const times: number[] = [];
    const started = performance.now();
    let isOver = false;
    while (times.length < batchSize) {
      if (count >= maxFrames) break;
      const time = await decoder.read(frameOf(slots[slot]!, times.length, facts).data);
      begin ??= time;
      isOver = time === undefined || time - begin! >= maxSeconds;
      if (time === undefined || isOver) {
        if (time !== undefined) count = maxFrames;
        break;
      }
      times.push(time);
      count += 1;
    }
    const decoded = performance.now();
    if (times.length > 0) {
      prepare(slot, times.length);
      const [decodeMs, prepareMs] = [decoded - started, performance.now() - decoded];
      tell({ kind: 'frames', slot, times, tick: decoder.tick, decodeMs, prepareMs });
    }
    if (count >= maxFrames) return true;
    if (isOver) return false;
  }
}

function prepare(slot: number, count: number): void {
  const { prepared } = slots[slot]!;
  if (!preprocess || !prepared) return;
  const images = Array.from({ length: count }, (_, place) => frameOf(slots[slot]!, place, facts));
  prepareBatch(images, preprocess, new Float32Array(prepared));
}
