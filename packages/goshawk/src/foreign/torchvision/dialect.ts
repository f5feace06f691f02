// torchvision, whose models are built in Python: it has no config files. Its names of tensors are ours.
import type { Dialect } from '../dialect.js';
import { bareMobilenetState, bareResnetState, torchvisionDetectorState } from './state-names.js';

export const torchvision: Dialect = {
  name: 'torchvision',
  configs: 'none',
  states: [bareResnetState, bareMobilenetState, torchvisionDetectorState],
};
