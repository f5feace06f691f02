// SOLOv2 and decoupled SOLO as kinds of detectors.
import type { SoloConfig } from '../../config/index.js';
import type { DetectorKind } from '../detector-kind.js';

export function soloKind({ head }: SoloConfig): DetectorKind {
  return {
    gives: 'objects',
    // Its boxes are those around its masks.
    measuredBy: ['segm', 'bbox'],
    // mmdetection's reading of COCO files: x2 = x + width - 1. The boxes around its masks are as wide as these.
    learnsFrom: { masks: 'whole', keypoints: false, boxes: 'inclusive' },
    boxes: 'continuous',
    readsProposals: false,
    masks: { threshold: head.maskThreshold, rule: { maskThreshold: 'exclusive', maskPadding: 0 } },
    roiHeads: [],
    cocoClasses: 80,
    classesIn: (state) => {
      const classes = state.get('head.categories.bias')?.shape[0];
      return classes === undefined ? undefined : classes + 1;
    },
    keypointsIn: () => undefined,
  };
}
