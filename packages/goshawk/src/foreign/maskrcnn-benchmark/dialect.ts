// maskrcnn-benchmark, and Res2Net-maskrcnn, which puts Res2Net into it.
import type { Dialect } from '../dialect.js';
import { maskrcnnConfigs } from './config.js';
import { maskrcnnStates } from './state-names.js';

export const maskrcnnBenchmark: Dialect = {
  name: 'maskrcnn-benchmark',
  configs: maskrcnnConfigs,
  states: [maskrcnnStates],
};
