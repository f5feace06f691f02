// Faster, Mask and Keypoint R-CNN, and the region proposal network alone, as kinds of detectors.
import type { RcnnConfig, RpnOnlyConfig } from '../../config/index.js';
import { CONVENTIONS } from '../conventions.js';
import type { DetectorKind } from '../detector-kind.js';

export function rcnnKind(config: RcnnConfig): DetectorKind {
  const conventions = CONVENTIONS[config.conventions];
  const maskHead = config.type === 'faster_rcnn' ? undefined : config.maskHead;
  const hasKeypoints = config.type === 'keypoint_rcnn';
  return {
    gives: 'objects',
    measuredBy: ['bbox', ...(maskHead ? (['segm'] as const) : []), ...(hasKeypoints ? (['keypoints'] as const) : [])],
    learnsFrom: {
      masks: maskHead ? (conventions.maskTargets.endsWith('polygons') ? 'polygons' : 'whole') : 'none',
      keypoints: hasKeypoints,
    },
    boxes: conventions.boxes,
    readsProposals: config.proposals === 'stored',
    ...(maskHead && { masks: { threshold: maskHead.threshold, rule: conventions } }),
    roiHeads: ['box', ...(maskHead ? (['mask'] as const) : []), ...(hasKeypoints ? (['keypoint'] as const) : [])],
    // COCO's keypoints are those of persons.
    cocoClasses: hasKeypoints ? 1 : 80,
    classesIn: (state) => state.get('roi_heads.box_predictor.cls_score.weight')?.shape[0],
    keypointsIn: (state) => state.get('roi_heads.keypoint_predictor.kps_score_lowres.bias')?.shape[0],
  };
}

export function rpnKind({ conventions }: RpnOnlyConfig): DetectorKind {
  return {
    gives: 'proposals',
    measuredBy: ['bbox'],
    learnsFrom: { masks: 'none', keypoints: false },
    boxes: CONVENTIONS[conventions].boxes,
    readsProposals: false,
    roiHeads: [],
    cocoClasses: 80,
    // Object or background, whatever the data tell apart.
    classesIn: () => 2,
    keypointsIn: () => undefined,
  };
}
