import './methods.js';

export { ops } from './dispatch-overloads.js';
export { METHOD_NAMES, OP_NAMES, type Ops, type TensorMethods } from './generated.js';
