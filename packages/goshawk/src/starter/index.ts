export { findAnnotations, isAnnotations } from './find-annotations.js';
export { makeStarter, type StarterOptions } from './make-starter.js';
export { type ModelKind, modelKinds, type NetworkSize, networkSizes, type Wishes } from './rules.js';
