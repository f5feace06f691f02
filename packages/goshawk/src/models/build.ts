// From the model part of a config to a model.
import type { ModelConfig } from '../config/index.js';
import type { Detector } from './detector.js';
import { Rcnn } from './detectors/rcnn.js';
import { RetinaNet } from './detectors/retinanet.js';
import { DecoupledSolo, Solov2 } from './detectors/solo.js';
import { SparseRcnn } from './detectors/sparse-rcnn.js';
import type { Draws } from './sampling.js';
import type { Sizing } from './sizing.js';

export interface BuildOptions {
  /** Number of categories, the background not counted. */
  readonly classes: number;
  /** Of an object; for models with a keypoint head. Default COCO's 17. */
  readonly keypoints?: number;
  /** How samples are drawn in training. Default: by the engine's generator. */
  readonly draws?: Draws;
  /** Default: as is best where a batch lies. */
  readonly sizing?: Sizing;
}

const COCO_KEYPOINTS = 17;

/** A model with fresh weights, drawn from the engine's generator. */
export function buildModel(
  config: ModelConfig,
  { classes, keypoints = COCO_KEYPOINTS, draws, sizing }: BuildOptions,
): Detector {
  switch (config.type) {
    case 'faster_rcnn':
    case 'mask_rcnn':
    case 'keypoint_rcnn':
      return new Rcnn({ ...config, classes, keypoints, draws, sizing });
    case 'rpn':
      return new Rcnn({ ...config, proposals: 'rpn', classes, draws, sizing });
    case 'retinanet':
      return new RetinaNet({ ...config, classes, sizing });
    case 'solov2':
      return new Solov2({ ...config, classes });
    case 'decoupled_solo':
      return new DecoupledSolo({ ...config, classes });
    case 'sparse_rcnn':
      return new SparseRcnn({ ...config, classes });
  }
}
