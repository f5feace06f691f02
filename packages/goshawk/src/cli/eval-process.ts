// One of the processes of `goshawk eval --processes N`: gets its job from the command, detects in its share of the pictures
// and sends what it finds, picture by picture.
import { detectEach } from '../infer/index.js';
import { type EvalJob, openEvalDataset, openEvalDetector } from './eval-job.js';

/** What the command sends, once. */
export interface ProcessJob extends EvalJob {
  /** This process takes every `count`-th picture, from `index` on. */
  readonly share: { readonly index: number; readonly count: number };
}

/** An error's parts, which is what crosses between processes. */
export interface SentError {
  readonly name: string;
  readonly code?: string;
  readonly message: string;
  readonly stack?: string;
}

/** What a process sends back. */
export type ProcessReport =
  | { readonly kind: 'ready' }
  | { readonly kind: 'found'; readonly picture: number; readonly detections: readonly unknown[] }
  | { readonly kind: 'unusable'; readonly picture: number; readonly error: SentError }
  | { readonly kind: 'failed'; readonly error: SentError }
  | { readonly kind: 'done' };

process.once('message', async (job: ProcessJob) => {
  try {
    await run(job);
  } catch (error) {
    await report({ kind: 'failed', error: partsOf(error) });
  }
  process.disconnect?.();
});
// Ctrl+C reaches every process of the terminal; the command hears it, and this one ends with it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
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
  await report({ kind: 'ready' });
  const unusable: { readonly picture: number; readonly error: SentError }[] = [];
  let picture = index;
  for await (const detections of detectEach(predictor, {
    dataset,
    preprocess,
    batchSize: job.config.inference.batchSize,
    workers: Math.min(1, job.config.data.workers),
    onUnusable: (place, error) => unusable.push({ picture: index + place * count, error: partsOf(error) }),
  })) {
    const problem = unusable.pop();
    await report(problem ? { kind: 'unusable', ...problem } : { kind: 'found', picture, detections });
    picture += count;
  }
  await report({ kind: 'done' });
}

function report(message: ProcessReport): Promise<void> {
  return new Promise((resolve) => {
    process.send!(message, undefined, undefined, (error) => {
      if (error === null) resolve();
      // The command has ended.
      else process.exit();
    });
  });
}

function partsOf(error: unknown): SentError {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const code = 'code' in error ? { code: String(error.code) } : {};
  return { name: error.name, message: error.message, stack: error.stack, ...code };
}
