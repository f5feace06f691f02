export type { BackboneConfig, ResnetConfig } from './backbone-schema.js';
export type { BoxHeadConfig, BoxVotingConfig, SoftNmsConfig } from './box-head-schema.js';
export type { KeypointHeadConfig } from './keypoint-head-schema.js';
export type { MaskHeadConfig } from './mask-head-schema.js';
export type { MobilenetConfig } from './mobilenet-schema.js';
export { type ModelConfig, modelSchema } from './model-schema.js';
export {
  extraLevelCount,
  levelCount,
  type NeckConfig,
  type PyramidConfig,
  type RetinaNeckConfig,
} from './neck-schema.js';
export type {
  FasterRcnnConfig,
  KeypointRcnnConfig,
  MaskRcnnConfig,
  RcnnConfig,
  RcnnConventions,
  RpnOnlyConfig,
} from './rcnn-schema.js';
export type { RetinanetConfig } from './retinanet-schema.js';
export type { AnchorsConfig, RpnConfig } from './rpn-schema.js';
export type { DecoupledSoloConfig, SoloConfig, Solov2Config } from './solo-schema.js';
export type { SparseRcnnConfig } from './sparse-rcnn-schema.js';
export type { SpinenetConfig } from './spinenet-schema.js';
