// liangheming/sparse_rcnnv1.
import type { Dialect } from '../dialect.js';
import { sparseRcnnStates } from './state-names.js';

export const sparseRcnn: Dialect = { name: 'sparse_rcnnv1', configs: 'none', states: [sparseRcnnStates] };
