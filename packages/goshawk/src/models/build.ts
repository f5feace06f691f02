// From the model part of a config to its kind, and to a model.
import type { ModelConfig } from '../config/index.js';
import type { Detector } from './detector.js';
import type { BuildOptions, DetectorKind } from './detector-kind.js';
import { rcnnKind, rpnKind } from './detectors/rcnn-kind.js';
import { retinanetKind } from './detectors/retinanet-kind.js';

/** All that the rest of the program asks about a model; a new kind of detector is a case here. */
export function detectorKind(config: ModelConfig): DetectorKind {
  switch (config.type) {
    case 'faster_rcnn':
    case 'mask_rcnn':
    case 'keypoint_rcnn':
      return rcnnKind(config);
    case 'rpn':
      return rpnKind(config);
    case 'retinanet':
      return retinanetKind(config);
  }
}

/** A model with fresh weights, drawn from the engine's generator. */
export function buildModel(config: ModelConfig, options: BuildOptions): Detector {
  return detectorKind(config).build(options);
}
