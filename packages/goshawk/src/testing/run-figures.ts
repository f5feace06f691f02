// What trainings of tests are compared by.
import { join } from 'node:path';
import { readMetrics } from '../train/metrics-log.js';

/** A run's lines without what depends on the clock and the machine. */
export function figuresOf(output: string): object[] {
  const changing = ['images_per_second', 'data_share', 'memory_bytes', 'evaluation_seconds'];
  return readMetrics(join(output, 'metrics.jsonl')).map((record) =>
    Object.fromEntries(Object.entries(record).filter(([name]) => !changing.includes(name))),
  );
}
