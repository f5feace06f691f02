// Where the RetinaNets of torchvision, mmdetection 1 and maskrcnn-benchmark differ beyond their options.
import type { AnchorOptions } from '../anchors.js';
import type { BoxConvention } from '../conventions.js';

export interface RetinaConventions {
  readonly boxes: BoxConvention;
  readonly anchorCells: NonNullable<AnchorOptions['cells']>;
  /** Whether the lengths of anchors are whole pixels before the ratios are applied. */
  readonly wholeAnchorSizes: boolean;
  /** Distance of cells: that of the level, or the padded size over the map's, which rounds. */
  readonly strides: 'level' | 'ratio';
  /** Logits of an anchor: those of the classes, or one more, the first, that never is a target. */
  readonly hasBackgroundLogit: boolean;
  /** Whether an object takes its best anchors from the objects that they overlap more. */
  readonly lastObjectClaims: boolean;
  /**
   * What the sums of losses are divided by: the positives of each image, then the images; those of all images, an image
   * without any counting as one; or those of all images and, for the classes, the number of images.
   */
  readonly normaliser: 'image' | 'batch' | 'positives_and_images';
  /**
   * What the best of a level are, before non-maximum suppression: pairs of an anchor and a class above the threshold, or
   * anchors by their best class.
   */
  readonly candidates: 'pairs' | 'anchors';
  /** Detections beyond the limit: the best are kept in order, or all that reach the score of the last. */
  readonly detectionLimit: 'count' | 'score';
  /** In whose pixels boxes suppress one another. */
  readonly suppression: 'network' | 'image';
  /** Whether a box also shrinks to no less than 16 / 1000 of its anchor. */
  readonly boundsShrinking: boolean;
}

const torchvision: RetinaConventions = {
  boxes: 'continuous',
  anchorCells: 'torchvision',
  wholeAnchorSizes: true,
  strides: 'ratio',
  hasBackgroundLogit: true,
  lastObjectClaims: false,
  normaliser: 'image',
  candidates: 'pairs',
  detectionLimit: 'count',
  suppression: 'network',
  boundsShrinking: false,
};

// mmdetection 1.1: anchor_head.py, max_iou_assigner.py, bbox_nms.py, transforms.py.
const mmdetection: RetinaConventions = {
  boxes: 'inclusive',
  anchorCells: 'mmdetection',
  wholeAnchorSizes: false,
  strides: 'level',
  hasBackgroundLogit: false,
  lastObjectClaims: true,
  normaliser: 'batch',
  candidates: 'anchors',
  detectionLimit: 'count',
  suppression: 'image',
  boundsShrinking: true,
};

// maskrcnn-benchmark: modeling/rpn/retinanet/{loss,inference}.py, modeling/rpn/anchor_generator.py.
const maskrcnnBenchmark: RetinaConventions = {
  boxes: 'inclusive',
  anchorCells: 'detectron',
  wholeAnchorSizes: false,
  strides: 'level',
  hasBackgroundLogit: false,
  lastObjectClaims: false,
  normaliser: 'positives_and_images',
  candidates: 'pairs',
  detectionLimit: 'score',
  suppression: 'network',
  boundsShrinking: false,
};

export const RETINA_CONVENTIONS = { torchvision, mmdetection, maskrcnn_benchmark: maskrcnnBenchmark } as const;
