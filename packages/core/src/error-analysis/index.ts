export {
  type ConfusedPair,
  type ConfusionMatrix,
  type ConfusionOptions,
  confusionDefaults,
  confusionMatrix,
  confusionOf,
  type OverlappingPicture,
  overlappingPictures,
} from './confusion-matrix.js';
export type { AnalysisInput } from './examined-pictures.js';
export { type PairThresholds, type PictureOverlaps, pairPicture } from './pair-picture.js';
export {
  type BestThreshold,
  type ScoreCurve,
  type ScoreCurves,
  type ScoreCurvesInput,
  scoreCurves,
} from './score-curves.js';
export {
  analyseErrors,
  type TideAnalysis,
  type TideCategory,
  type TideError,
  type TideExample,
  type TideOptions,
  tideErrors,
} from './tide.js';
