// What a kind of detector is to everything outside of its own files: commands, training and evaluation ask this. Nothing here
// needs the engine.
import type { IouType } from '@goshawk/core';
import type { BoxConvention, Conventions } from './conventions.js';

/** Names and shapes of a file's tensors, under our names. */
export type StateShapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** What a training takes of the annotations besides boxes and classes. */
export interface LearningNeeds {
  /** whole: as pixels of the picture; polygons: as they are, to be drawn inside of boxes. */
  readonly masks: 'none' | 'whole' | 'polygons';
  readonly keypoints: boolean;
  /** Where their boxes end, if not as the detector's own. */
  readonly boxes?: BoxConvention;
}

/** How the probabilities of a mask become pixels. */
export interface MaskOutput {
  /** Probability from which a cell belongs to the object. */
  readonly threshold: number;
  readonly rule: Pick<Conventions, 'maskThreshold' | 'maskPadding'>;
}

/** Heads that look at each box again. */
export type RoiHead = 'box' | 'mask' | 'keypoint';

/** Of one model's config. */
export interface DetectorKind {
  /** Objects of categories, or places where some object may be, which are of no category and measured by recall. */
  readonly gives: 'objects' | 'proposals';
  /** COCO's measures that apply to what it gives; the first one's AP chooses the best weights. */
  readonly measuredBy: readonly IouType[];
  readonly learnsFrom: LearningNeeds;
  /** Where boxes end: its own, those of stored proposals, and but for `learnsFrom.boxes` those of annotations. */
  readonly boxes: BoxConvention;
  /** Whether a file has to bring the boxes that it looks at. */
  readonly readsProposals: boolean;
  /** Absent: it gives no masks. */
  readonly masks?: MaskOutput;
  /** Of its second stage; none for a detector of one stage. */
  readonly roiHeads: readonly RoiHead[];
  /** Classes of the published COCO model, the background not counted. */
  readonly cocoClasses: number;

  /** How many classes, the background included, these weights tell apart; undefined where their predictor is missing. */
  classesIn(state: StateShapes): number | undefined;

  /** How many keypoints of an object these weights find; undefined without a keypoint predictor. */
  keypointsIn(state: StateShapes): number | undefined;
}
