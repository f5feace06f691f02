export { selectFixedRetinaDetections } from './fixed-candidates.js';
export { fixedRetinaLosses } from './fixed-retina-loss.js';
export { RETINA_CONVENTIONS, type RetinaConventions } from './retina-conventions.js';
export { RetinaHead, type RetinaHeadOptions, type RetinaPrediction } from './retina-head.js';
export { type AnchorTargets, assignAnchors, type RetinaLossOptions, retinaLosses } from './retina-loss.js';
export {
  type DenseCandidates,
  retinaCandidates,
  type SelectOptions,
  selectRetinaDetections,
} from './select-detections.js';
