// Trainings with the logs of the command line, their progress line unseen.
import { join } from 'node:path';
import { createProgressLine } from '../terminal/progress-line.js';
import { readMetrics } from '../train/metrics-log.js';
import { RunLog } from '../train/run-log.js';
import { type TrainObserver, type TrainOptions, type TrainResult, train } from '../train/trainer.js';

/** Writes a run's folder as `goshawk train` does. The observer hears of everything after the log. */
export async function trainQuietly(options: TrainOptions): Promise<TrainResult> {
  const log = new RunLog(options.output, createProgressLine({ stream: { write: () => true } }));
  const own = options.observer;
  const observer: TrainObserver = {
    ...own,
    onStart(start) {
      log.onStart(start);
      own?.onStart?.(start);
    },
    onStep(step, model) {
      log.onStep(step);
      own?.onStep?.(step, model);
    },
    onEvaluation(...figures) {
      log.onEvaluation(...figures);
      own?.onEvaluation?.(...figures);
    },
    onCheckpoint(...checkpoint) {
      log.onCheckpoint(...checkpoint);
      own?.onCheckpoint?.(...checkpoint);
    },
  };
  try {
    return await train({ ...options, observer });
  } finally {
    log.close();
  }
}

/** A run's lines without what depends on the clock and the machine. */
export function figuresOf(output: string): object[] {
  const changing = ['images_per_second', 'data_share', 'memory_bytes', 'evaluation_seconds'];
  return readMetrics(join(output, 'metrics.jsonl')).map((record) =>
    Object.fromEntries(Object.entries(record).filter(([name]) => !changing.includes(name))),
  );
}
