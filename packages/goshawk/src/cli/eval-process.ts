// One of the processes of `goshawk eval --processes N`: gets its job from the command, detects in its share of the pictures
// and sends what it finds, picture by picture.
import { detectEach } from '../infer/index.js';
import { type EvalJob, openEvalDataset, openEvalDetector } from './eval-job.js';

/** What the command sends, once. */
export interface ProcessJob extends EvalJob {
  /** This process takes every `count`-th picture, from `index` on. */
  readonly share: { readonly index: number; readonly count: number };
}

/** What a process sends back. */
export type ProcessReport =
  | { readonly kind: 'found'; readonly picture: number; readonly detections: readonly unknown[] }
  | {
      readonly kind: 'failed';
      readonly name: string;
      readonly code?: string;
      readonly message: string;
      readonly stack?: string;
    }
  | { readonly kind: 'done' };

process.once('message', async (job: ProcessJob) => {
  try {
    await run(job);
  } catch (error) {
    await report(failureOf(error));
  }
  process.disconnect?.();
});
// Without the command nobody waits for the result.
process.on('disconnect', () => process.exit());

async function run(job: ProcessJob): Promise<void> {
  const { index, count } = job.share;
  const whole = openEvalDataset(job);
  const { predictor, preprocess } = openEvalDetector(
    job,
    whole,
    index === 0 ? (warning) => console.error(`warning: ${warning}`) : undefined,
  );
  const dataset = { ...whole, samples: whole.samples.filter((_, picture) => picture % count === index) };
  let picture = index;
  for await (const detections of detectEach(predictor, {
    dataset,
    preprocess,
    batchSize: 1,
    workers: Math.min(1, job.config.data.workers),
  })) {
    await report({ kind: 'found', picture, detections });
    picture += count;
  }
  await report({ kind: 'done' });
}

function report(message: ProcessReport): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send!(message, undefined, undefined, (error) => (error ? reject(error) : resolve()));
  });
}

function failureOf(error: unknown): ProcessReport {
  if (!(error instanceof Error)) return { kind: 'failed', name: 'Error', message: String(error) };
  const code = 'code' in error ? { code: String(error.code) } : {};
  return { kind: 'failed', name: error.name, message: error.message, stack: error.stack, ...code };
}
