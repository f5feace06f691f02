export * from './adam.js';
export { clipGradNorm, clipGradNormOnDevice, clipGradValue, gradNorm, type NormOptions } from './clip.js';
export {
  type NamedOrPlain,
  Optimizer,
  type OptimizerState,
  type ParameterGroup,
  type Params,
  type StepOperators,
} from './optimizer.js';
export * from './sgd.js';
