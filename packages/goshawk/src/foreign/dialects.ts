// The systems whose files are read, each in a folder of its own.
import { detectron } from './detectron/dialect.js';
import type { ConfigDialect, Dialect, StateDialect } from './dialect.js';
import { maskrcnnBenchmark } from './maskrcnn-benchmark/dialect.js';
import { mmdetection } from './mmdetection/dialect.js';
import { solov2 } from './solov2/dialect.js';
import { sparseRcnn } from './sparse-rcnn/dialect.js';
import { torchvision } from './torchvision/dialect.js';

export type DialectName = 'solov2' | 'mmdetection' | 'maskrcnn_benchmark' | 'detectron' | 'sparse_rcnn' | 'torchvision';

/** Asked in this order. torchvision is the last: its names are ours, so it takes every state that no other knows. */
const dialects: Readonly<Record<DialectName, Dialect>> = {
  // Before mmdetection, which takes every Python file.
  solov2,
  mmdetection,
  maskrcnn_benchmark: maskrcnnBenchmark,
  detectron,
  sparse_rcnn: sparseRcnn,
  torchvision,
};

/** Those that have config files, with the names of their systems. */
export const configDialects: readonly (readonly [system: string, dialect: ConfigDialect])[] = Object.values(
  dialects,
).flatMap(({ name, configs }) => (configs === 'none' ? [] : [[name, configs] as const]));

export const stateDialects: readonly StateDialect[] = Object.values(dialects).flatMap(({ states }) => states);
