export { type NamedOrPlain, Optimizer, type OptimizerState, type ParameterGroup, type Params } from './optimizer.js';
export * from './sgd.js';
