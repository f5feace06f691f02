// pytorch_solov2 (SOLOv2-Light), and weights of its original (WXinlong/SOLO).
import type { Dialect } from '../dialect.js';
import { solov2Configs } from './config.js';
import { solov2States } from './state-names.js';

export const solov2: Dialect = { name: 'pytorch_solov2', configs: solov2Configs, states: [solov2States] };
