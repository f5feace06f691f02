// RetinaNet as a kind of detector.
import type { RetinanetConfig } from '../../config/index.js';
import type { DetectorKind } from '../detector-kind.js';
import { RetinaNet, retinaClasses } from './retinanet.js';

export function retinanetKind(config: RetinanetConfig): DetectorKind {
  return {
    gives: 'objects',
    measuredBy: ['bbox'],
    learnsFrom: { masks: 'none', keypoints: false },
    readsProposals: false,
    roiHeads: [],
    cocoClasses: 80,
    classesIn: (state) => {
      const logits = state.get('head.classification_head.cls_logits.bias')?.shape[0];
      return logits === undefined ? undefined : retinaClasses(config, logits);
    },
    keypointsIn: () => undefined,
    build: ({ classes }) => new RetinaNet({ ...config, classes }),
  };
}
