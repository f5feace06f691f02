// Sparse R-CNN as a kind of detector.
import type { DetectorKind } from '../detector-kind.js';

export function sparseRcnnKind(): DetectorKind {
  return {
    gives: 'objects',
    measuredBy: ['bbox'],
    learnsFrom: { masks: 'none', keypoints: false },
    readsProposals: false,
    boxes: 'continuous',
    roiHeads: [],
    cocoClasses: 80,
    classesIn: (state) => {
      const logits = state.get('head.stages.0.class_logits.bias')?.shape[0];
      return logits === undefined ? undefined : logits + 1;
    },
    keypointsIn: () => undefined,
  };
}
