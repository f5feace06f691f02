// Detectron, and Detectron.pytorch, which takes its configs with a few changes and writes checkpoints of its own names.
import type { Dialect } from '../dialect.js';
import { detectronConfigs } from './config.js';
import { detectronPklState } from './state-names-pkl.js';
import { detectronPthState } from './state-names-pth.js';

export const detectron: Dialect = {
  name: 'Detectron',
  configs: detectronConfigs,
  states: [detectronPthState, detectronPklState],
};
