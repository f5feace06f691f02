// From the model part of a config to its kind.
import type { ModelConfig } from '../config/index.js';
import type { DetectorKind } from './detector-kind.js';
import { rcnnKind, rpnKind } from './detectors/rcnn-kind.js';
import { retinanetKind } from './detectors/retinanet-kind.js';
import { soloKind } from './detectors/solo-kind.js';
import { sparseRcnnKind } from './detectors/sparse-rcnn-kind.js';

/** All that the rest of the program asks about a model; a new kind of detector is a case here and in buildModel(). */
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
    case 'solov2':
    case 'decoupled_solo':
      return soloKind(config);
    case 'sparse_rcnn':
      return sparseRcnnKind();
  }
}
