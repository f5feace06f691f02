export {
  type AugmentStepConfig,
  type AugmentStepsConfig,
  mirrorsPictures,
  movesObjects,
  type SimpleStepConfig,
} from './augment-schema.js';
export { placeInSource } from './config-problem.js';
export { configReference } from './config-reference.js';
export type { ConfigSource } from './config-source.js';
export type { DataConfig, PreprocessConfig } from './data-schema.js';
export type {
  AugmentConfig,
  BoxAugmentConfig,
  InferenceConfig,
  KeypointAugmentConfig,
  MaskAugmentConfig,
} from './inference-schema.js';
export {
  type AnchorsConfig,
  type BackboneConfig,
  type BoxHeadConfig,
  type BoxVotingConfig,
  type DecoupledSoloConfig,
  extraLevelCount,
  type FasterRcnnConfig,
  type KeypointHeadConfig,
  type KeypointRcnnConfig,
  levelCount,
  type MaskHeadConfig,
  type MaskRcnnConfig,
  type MobilenetConfig,
  type ModelConfig,
  type NeckConfig,
  type PyramidConfig,
  type RcnnConfig,
  type RcnnConventions,
  type ResnetConfig,
  type RetinaNeckConfig,
  type RetinanetConfig,
  type RpnConfig,
  type RpnOnlyConfig,
  type SoftNmsConfig,
  type SoloConfig,
  type Solov2Config,
  type SparseRcnnConfig,
  type SpinenetConfig,
} from './model/index.js';
export {
  defineConfig,
  loadConfig,
  parseConfig,
  readConfigText,
  validateConfig,
  validationProblem,
} from './read-config.js';
export { type RunConfig, type RunConfigInput, runConfigSchema } from './run-config.js';
export { type AnnotationFormat, annotationFormats, type DataSetConfig, type DataSplitConfig } from './split-schema.js';
export { type NamedSet, setsOfSplit } from './split-sets.js';
export type {
  EmaConfig,
  OptimizerConfig,
  Precision,
  RuntimeConfig,
  ScheduleConfig,
  TrainConfig,
} from './train-schema.js';
export { configToYaml } from './write-config.js';
