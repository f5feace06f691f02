export { assertClose, type Tolerance } from './assert-close.js';
export { gradientCheck } from './gradient-check.js';
export { OPERATORS_THAT_WAIT, operatorsThatWait, recordOperators } from './record-operators.js';
export { type WeightsApart, weightsApart } from './weights-apart.js';
