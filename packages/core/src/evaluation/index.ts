export type { Curves, MatchingCounts, NumberGrid } from './accumulate.js';
export {
  type CityscapesClassResult,
  type CityscapesEvaluation,
  type CityscapesEvaluationInput,
  evaluateCityscapes,
  formatCityscapesTable,
} from './cityscapes-ap.js';
export {
  type AreaRange,
  type CocoParams,
  cocoAreaRanges,
  defaultSigmas,
  evenlySpaced,
  type IouType,
} from './coco-params.js';
export { type CategoryStats, type CocoStatName, type CocoStats, cocoStat, otherAreaRules } from './coco-stats.js';
export { formatCocoTable } from './coco-table.js';
export type { Detections } from './detection-columns.js';
export { type CocoEvaluation, type CocoEvaluationInput, type DetectionCut, evaluateCoco } from './evaluate-coco.js';
export { keypointSimilarity } from './keypoint-similarity.js';
export {
  evaluateProposals,
  formatProposalTable,
  type ImageProposals,
  type ProposalRecall,
  type ProposalRecallInput,
  proposalRecallStats,
} from './proposal-recall.js';
export {
  evaluateVoc,
  type VocClassResult,
  type VocEvaluation,
  type VocEvaluationInput,
  type VocMetric,
} from './voc-ap.js';
export { formatVocTable } from './voc-table.js';
