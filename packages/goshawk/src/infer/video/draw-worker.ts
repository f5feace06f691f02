// The thread that draws on the frames of a film and writes them, in the order in which they come.
import { parentPort, workerData } from 'node:worker_threads';
import { DetectionPainter } from '@goshawk/core';
import { EncodingError, FrameEncoder } from '../../data/video/index.js';
import { nodeCanvas } from '../../drawing/index.js';
import { type DrawerSetup, type FromDrawer, frameOf, type ToDrawer } from './frame-messages.js';

const port = parentPort!;
const { file, facts, ffmpeg, drawing, slots, freed } = workerData as DrawerSetup;
const tell = (message: FromDrawer): void => port.postMessage(message);

const painter = new DetectionPainter({ ...drawing, canvas: nodeCanvas });
let encoder: FrameEncoder | undefined;
let hasFailed = false;
let work: Promise<void> = Promise.resolve();
port.on('message', (message: ToDrawer) => {
  work = work.then(() => handle(message));
});

async function handle(message: ToDrawer): Promise<void> {
  try {
    if (hasFailed) return;
    if (message.kind === 'begin') {
      encoder = new FrameEncoder({ ...facts, file, tick: message.tick, ffmpeg });
      tell({ kind: 'started' });
    } else if (message.kind === 'draw') await draw(message);
    else {
      await encoder?.finish();
      tell({ kind: 'finished' });
    }
  } catch (error) {
    if (!(error instanceof EncodingError)) throw error;
    hasFailed = true;
    tell({ kind: 'failed', reason: error.message });
  } finally {
    if (message.kind === 'finish') {
      freed.close();
      port.close();
    }
  }
}

async function draw({ slot, times, items }: ToDrawer & { readonly kind: 'draw' }): Promise<void> {
  if (!encoder) throw new Error('internal: a frame to draw before the film has begun');
  let [drawMs, encodeMs] = [0, 0];
  for (const [place, time] of times.entries()) {
    const frame = frameOf(slots[slot]!, place, facts);
    const started = performance.now();
    painter.paint(frame, items[place]!);
    const drawn = performance.now();
    await encoder.write(frame.data, time);
    drawMs += drawn - started;
    encodeMs += performance.now() - drawn;
  }
  freed.postMessage(slot);
  tell({ kind: 'drawn', drawMs, encodeMs });
}
