// RetinaNet as a kind of detector.
import type { RetinanetConfig } from '../../config/index.js';
import { CONVENTIONS } from '../conventions.js';
import { RETINA_CONVENTIONS } from '../dense-heads/retina-conventions.js';
import type { DetectorKind } from '../detector-kind.js';

export function retinanetKind(config: RetinanetConfig): DetectorKind {
  return {
    gives: 'objects',
    measuredBy: ['bbox'],
    learnsFrom: { masks: 'none', keypoints: false },
    readsProposals: false,
    boxes: CONVENTIONS[config.conventions].boxes,
    roiHeads: [],
    cocoClasses: 80,
    classesIn: (state) => {
      const logits = state.get('head.classification_head.cls_logits.bias')?.shape[0];
      return logits === undefined ? undefined : retinaClasses(config, logits);
    },
    keypointsIn: () => undefined,
  };
}

/** How many classes, the background included, a head with so many class logits a cell tells apart. */
export function retinaClasses({ anchors, conventions }: RetinanetConfig, logits: number): number {
  const columns = logits / (anchors.ratios.length * anchors.scalesPerOctave);
  return RETINA_CONVENTIONS[conventions].hasBackgroundLogit ? columns : columns + 1;
}
