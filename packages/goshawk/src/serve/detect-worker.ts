// The thread that has the detector: pictures in the order in which they come, each to the lines of a results file.
import { parentPort, workerData } from 'node:worker_threads';
import { categoryNames, type Detection, drawDetections, formatPictureResults, InputError } from '@goshawk/core';
import { encodePng } from '../data/encode-png.js';
import { nodeCanvas } from '../drawing/index.js';
import { withSureKeypoints } from '../infer/sure-keypoints.js';
import { openServedDetector, type ServedDetector } from './served-detector.js';
import type { DetectorSetup, FromDetector, ToDetector } from './thread-messages.js';

const port = parentPort!;
const { source, keypointThreshold } = workerData as DetectorSetup;
const tell = (message: FromDetector): void => port.postMessage(message);

let detector: ServedDetector | undefined;
let work = openServedDetector(source).then(
  (opened) => {
    detector = opened;
    tell({ kind: 'open', facts: opened.facts });
  },
  (error: unknown) => {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    tell({ kind: 'unusable', name, message, ...(error instanceof InputError && { code: error.code }) });
  },
);
port.on('message', (message: ToDetector | 'close') => {
  work = work.then(() => (message === 'close' ? port.close() : handle(message)));
});

async function handle(message: ToDetector): Promise<void> {
  const { id, image, imageId, fileName } = message;
  try {
    const started = performance.now();
    const { categories } = detector!.facts;
    const found = (await detector!.detect(image)).filter(keptBy(message)).slice(0, message.maxDetections);
    const lines = formatPictureResults({ id: imageId, fileName }, found, categoryNames(categories));
    const { width, height } = image;
    const ms = performance.now() - started;
    const answer = { kind: 'found', id, width, height, lines, counts: countsOf(found), ms } as const;
    if (!message.draw) {
      tell(answer);
      return;
    }
    const sure = found.map((detection) => withSureKeypoints(detection, keypointThreshold));
    const png = await encodePng(drawDetections(image, sure, { categories, canvas: nodeCanvas }));
    tell({ ...answer, png });
  } catch (error) {
    tell({ kind: 'failed', id, reason: error instanceof Error ? error.message : String(error) });
  }
}

function keptBy({ thresholds }: ToDetector): (detection: Detection) => boolean {
  if (typeof thresholds === 'number') return ({ score }) => score >= thresholds;
  return ({ score, categoryId }) => score >= (thresholds.get(categoryId) ?? 0);
}

function countsOf(found: readonly Detection[]): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const { categoryId } of found) counts.set(categoryId, (counts.get(categoryId) ?? 0) + 1);
  return counts;
}
