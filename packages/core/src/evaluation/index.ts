export type { Curves, MatchingCounts, NumberGrid } from './accumulate.js';
export { type AreaRange, type CocoParams, cocoAreaRanges, type IouType } from './coco-params.js';
export type { CategoryStats, CocoStatName, CocoStats } from './coco-stats.js';
export { formatCocoTable } from './coco-table.js';
export { type CocoEvaluation, type CocoEvaluationInput, evaluateCoco } from './evaluate-coco.js';
export { keypointSimilarity } from './keypoint-similarity.js';
