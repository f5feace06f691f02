// Where the systems that detectors come from differ beyond their options: each difference has a name here and nowhere else.

/** `continuous`: a box is x2 - x1 wide. `inclusive`: x2 is its last pixel, it is x2 - x1 + 1 wide. */
export type BoxConvention = 'continuous' | 'inclusive';

export interface Conventions {
  /** Of every width, area, IoU, offset and border. Inclusive boxes also suppress at an IoU equal to the threshold. */
  readonly boxes: BoxConvention;
  /** How the anchors of a cell are rounded and centred. */
  readonly anchorCells: 'torchvision' | 'detectron';
  /** How anchors are drawn for the loss: without repeats, or Detectron's way (see drawAnchors). */
  readonly anchorDraw: 'distinct' | 'detectron';
  /**
   * What the first stage's losses are divided by. `sampled`: the anchors drawn in the batch. `capacity`: with several
   * levels, the anchors that could be drawn (classes), and the anchors drawn in each image (boxes).
   */
  readonly anchorLoss: 'sampled' | 'capacity';
  /** Where proposals end in evaluation: at the image, or at the padded batch. In training always at the image. */
  readonly proposalBorder: 'image' | 'batch';
  /** In whose pixels proposals meet objects, boxes are refined and overlaps of detections are measured. */
  readonly secondStage: 'network' | 'image';
  /** Where 1e-6 is added when a box's level follows from its size: to the size's logarithm, or to the size. */
  readonly levelEpsilon: 'logarithm' | 'size';
  /** Detections beyond the limit: the best are kept in order, or all that reach the score of the last. */
  readonly detectionLimit: 'count' | 'score';
  /** What a mask learns: the image's mask cut to the box by RoIAlign, or the polygons drawn inside the box. */
  readonly maskTargets: 'cropped' | 'polygons';
  /** Whether a pixel of exactly the threshold's probability belongs to a mask. */
  readonly maskThreshold: 'inclusive' | 'exclusive';
}

const torchvision: Conventions = {
  boxes: 'continuous',
  anchorCells: 'torchvision',
  anchorDraw: 'distinct',
  anchorLoss: 'sampled',
  proposalBorder: 'image',
  secondStage: 'network',
  levelEpsilon: 'logarithm',
  detectionLimit: 'count',
  maskTargets: 'cropped',
  maskThreshold: 'inclusive',
};

// Read off Detectron.pytorch, which follows Facebook's Detectron.
const detectron: Conventions = {
  boxes: 'inclusive',
  anchorCells: 'detectron',
  anchorDraw: 'detectron',
  anchorLoss: 'capacity',
  proposalBorder: 'batch',
  secondStage: 'image',
  levelEpsilon: 'size',
  detectionLimit: 'score',
  maskTargets: 'polygons',
  maskThreshold: 'exclusive',
};

export const CONVENTIONS = { torchvision, detectron } as const;
