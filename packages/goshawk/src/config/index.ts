export { configReference } from './config-reference.js';
export type { DataConfig, DataSplitConfig, PreprocessConfig } from './data-schema.js';
export type {
  AnchorsConfig,
  BackboneConfig,
  BoxHeadConfig,
  FasterRcnnConfig,
  MaskHeadConfig,
  MaskRcnnConfig,
  ModelConfig,
  NeckConfig,
  ResnetConfig,
  RpnConfig,
} from './model-schema.js';
export { type ConfigSource, loadConfig, parseConfig, validateConfig } from './read-config.js';
export { type RunConfig, runConfigSchema } from './run-config.js';
export type { OptimizerConfig, RuntimeConfig, ScheduleConfig, TrainConfig } from './train-schema.js';
export { configToYaml } from './write-config.js';
