export * from './adam.js';
export { clipGradNorm, clipGradValue, gradNorm, type NormOptions } from './clip.js';
export { type NamedOrPlain, Optimizer, type OptimizerState, type ParameterGroup, type Params } from './optimizer.js';
export * from './sgd.js';
