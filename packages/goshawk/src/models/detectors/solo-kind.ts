// SOLOv2 and decoupled SOLO as kinds of detectors.
import type { SoloConfig } from '../../config/index.js';
import type { DetectorKind } from '../detector-kind.js';

export function soloKind({ head }: SoloConfig): DetectorKind {
  return {
    gives: 'objects',
    // Its boxes are those around its masks.
    measuredBy: ['segm', 'bbox'],
    learnsFrom: { masks: 'whole', keypoints: false },
    // mmdetection's reading of COCO files, which SOLO learns by: x2 = x + width - 1.
    boxes: 'inclusive',
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
