// The case of torchvision 0.29's maskrcnn_resnet50_fpn (fixtures/README.md): its config, and what it learns from.
import { fileURLToPath } from 'node:url';
import { nearestMaskCrop, polygonsToRle, type RgbImage } from '@goshawk/core';
import type { Device } from '@goshawk/torch';
import { loadConfig } from '../config/index.js';
import { targetsOf } from '../infer/network-batch.js';
import { prepareBatch } from '../infer/prepare-batch.js';
import type { Targets } from '../models/index.js';
import { type ExpectedDetection, ParityCase } from './parity-case.js';

interface Facts {
  readonly parameters: number;
  readonly detection_masks_rle: readonly { size: [number, number]; counts: string }[];
  readonly training: {
    readonly targets: readonly { boxes: number[][]; labels: number[]; polygons: number[][][] }[];
    readonly losses: Record<string, number>;
    readonly gradient_norms: Record<string, number>;
  };
}

// Of the config that comes with the toolbox.
const SETS = [
  ...['model.classes=90', 'model.backbone.norm=batch', 'model.backbone.frozenStages=0'],
  ...['model.rpn.batchSizePerImage=1000000', 'model.boxHead.batchSizePerImage=1000000'],
  ...['model.boxHead.scoreThreshold=0.3', 'model.boxHead.maxDetections=60'],
  ...['preprocess.resize.minSize=192', 'preprocess.resize.maxSize=320'],
];
const file = fileURLToPath(new URL('../../../../configs/torchvision/mask_rcnn_r50_fpn.yaml', import.meta.url));

export const TORCHVISION_MASK_RCNN = {
  config: loadConfig(file, SETS).config,
  parity: new ParityCase<Facts>('torchvision_maskrcnn_r50_fpn'),
};

/** Categories whose ids are the classes. */
export function numberedCategories(count: number) {
  return Array.from({ length: count }, (_, index) => ({ id: index + 1, name: `class ${index + 1}` }));
}

/** A case's detections, best first. */
export function expectedDetections(parity: ParityCase<unknown>): ExpectedDetection[] {
  const boxes = parity.numbers('det/boxes');
  const labels = parity.integers('det/labels');
  return Array.from(parity.numbers('det/scores'), (score, index) => ({
    label: labels[index]!,
    score,
    box: boxes.subarray(index * 4, index * 4 + 4),
  }));
}

/** Boxes scaled as torchvision scales them, masks drawn at the picture's size and resized to the nearest pixel. */
export function trainingTargets(images: readonly RgbImage[], device: Device = 'cpu'): Targets[] {
  const { config, parity } = TORCHVISION_MASK_RCNN;
  const { images: sizes } = prepareBatch(images, config.preprocess);
  const targets = parity.facts.training.targets.map(({ boxes, labels, polygons }, image) => {
    const { width, height, originalWidth, originalHeight } = sizes[image]!;
    const scale = [Math.fround(width / originalWidth), Math.fround(height / originalHeight)];
    return {
      boxes: Float32Array.from(boxes.flat(), (value, index) => value * scale[index % 2]!),
      classes: Int32Array.from(labels),
      masks: polygons.map((parts) =>
        nearestMaskCrop(polygonsToRle(parts, [originalHeight, originalWidth]), width, height),
      ),
      areas: new Float32Array(labels.length),
      annotationIds: labels.map((_, index) => index),
    };
  });
  return targetsOf({ targets }, device);
}
