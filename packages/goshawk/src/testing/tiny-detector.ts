// Detectors small enough for tests: every part is there, and a step takes milliseconds.
import { manualSeed } from '@goshawk/torch';
import { parseConfig, type RunConfig } from '../config/index.js';
import { ResNet } from '../models/backbones/resnet.js';
import { buildModel } from '../models/build.js';
import type { Rcnn } from '../models/detectors/rcnn.js';
import { BackboneWithNeck } from '../models/feature-extractor.js';

const TINY = `
model:
  type: mask_rcnn
  backbone: { depth: 18, width: 8, frozenStages: 0 }
  neck: { channels: 16 }
  anchors: { sizes: [[12], [24], [48], [96], [192]] }
  rpn: { preNmsTopN: { train: 50, test: 50 }, postNmsTopN: { train: 30, test: 20 }, batchSizePerImage: 32 }
  boxHead: { hiddenSize: 32, batchSizePerImage: 32, maxDetections: 10 }
  maskHead: { channels: [16] }
preprocess: { resize: { minSize: 64, maxSize: 96 } }
data: { workers: 0 }
runtime: { threads: 1 }
`;

/** @param sets `--set` options on top, such as `train.batchSize=1` */
export function tinyConfig(sets: readonly string[] = []): RunConfig {
  return parseConfig(TINY, { file: 'tiny', sets });
}

export const FASTER_RCNN = ['model.type=faster_rcnn', 'model.maskHead=null'];

/** Fresh weights, the same for the same seed. */
export function tinyDetector({ classes = 2, keypoints = 3, seed = 0, sets = [] }: TinyOptions = {}): Rcnn {
  manualSeed(seed);
  return buildModel(tinyConfig(sets).model, { classes, keypoints }) as Rcnn;
}

/** The ResNet of a detector on one with an FPN. */
export function resNetOf({ backbone }: Rcnn): ResNet {
  if (backbone instanceof BackboneWithNeck && backbone.body instanceof ResNet) return backbone.body;
  throw new Error('internal: not a ResNet-FPN');
}

interface TinyOptions {
  readonly classes?: number;
  /** Of an object, where there is a keypoint head. */
  readonly keypoints?: number;
  readonly seed?: number;
  readonly sets?: readonly string[];
}
