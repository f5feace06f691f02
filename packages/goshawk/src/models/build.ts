// From the model part of a config to a model.
import type { ModelConfig } from '../config/index.js';
import { Rcnn } from './detectors/rcnn.js';

/** Every kind of detector. */
export type Detector = Rcnn;

/**
 * A model with fresh weights, drawn from the engine's generator.
 * @param classes number of categories, the background not counted
 */
export function buildModel(config: ModelConfig, classes: number): Detector {
  switch (config.type) {
    case 'faster_rcnn':
      return new Rcnn({ ...config, maskHead: undefined, classes });
    case 'mask_rcnn':
      return new Rcnn({ ...config, classes });
  }
}
