// liangheming/sparse_rcnnv1.
import type { Dialect } from '../dialect.js';
import { sparseRcnnConfigs } from './config.js';
import { sparseRcnnStates } from './state-names.js';

export const sparseRcnn: Dialect = { name: 'sparse_rcnnv1', configs: sparseRcnnConfigs, states: [sparseRcnnStates] };
