export * from './current-group.js';
export { DistributedError, distributedErrorOf } from './distributed-error.js';
export * from './gradient-reducer.js';
export {
  type GroupStore,
  type HostedStore,
  hostStore,
  openProcessGroup,
  type ProcessGroup,
  type ProcessGroupOptions,
  type Reduction,
  type Work,
} from './process-group.js';
export * from './shared-state.js';
