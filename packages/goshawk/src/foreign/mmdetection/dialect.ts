// mmdetection 1.x, SpineNet-Pytorch's plugin for it among what it reads.
import type { Dialect } from '../dialect.js';
import { mmdetectionConfigs } from './config.js';
import { mmdetectionStates } from './state-names.js';

export const mmdetection: Dialect = { name: 'mmdetection', configs: mmdetectionConfigs, states: [mmdetectionStates] };
