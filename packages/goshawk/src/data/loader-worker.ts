// The thread that prepares pictures. It ends when told to, after what it has begun.
import { parentPort, workerData } from 'node:worker_threads';
import type { SampleResult } from './prepare-sample.js';
import { inProcessRunner, type WorkerReply, type WorkerRequest, type WorkerSetup } from './sample-runner.js';

const port = parentPort!;
const { stop } = workerData as WorkerSetup;
const runner = inProcessRunner();

port.on('message', async (request: WorkerRequest | undefined) => {
  if (request === undefined || Atomics.load(stop, 0) === 1) {
    await runner.close();
    if (request === undefined) port.close();
  }
  if (request === undefined) return;
  const result = await runner.run(request.sample);
  const reply: WorkerReply = { id: request.id, result };
  port.postMessage(reply, memoryOf(result));
});

/** The target's arrays, which move to the other thread instead of being copied. */
function memoryOf(result: SampleResult): ArrayBuffer[] {
  if (result.error !== undefined) return [];
  const { boxes, classes, areas, masks = [], polygons = [], keypoints } = result.target;
  const arrays = [
    boxes,
    classes,
    areas,
    ...masks.map((mask) => mask.data),
    ...polygons.flat(),
    ...(keypoints ? [keypoints] : []),
  ];
  return arrays.map((array) => array.buffer as ArrayBuffer);
}
