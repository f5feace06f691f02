// Where the systems that two-stage detectors come from differ beyond their options: each difference has a name here and
// nowhere else.

/** `continuous`: a box is x2 - x1 wide. `inclusive`: x2 is its last pixel, it is x2 - x1 + 1 wide. */
export type BoxConvention = 'continuous' | 'inclusive';

export interface Conventions {
  /** Of every width, area, IoU, offset and border. Inclusive boxes also suppress at an IoU equal to the threshold. */
  readonly boxes: BoxConvention;
  /** Whether a refined box also shrinks to no less than 16 / 1000 of its reference. */
  readonly boundsShrinking: boolean;
  /** How the anchors of a cell are rounded and centred. */
  readonly anchorCells: 'torchvision' | 'detectron' | 'mmdetection';
  /** How anchors are drawn for the loss: without repeats, or Detectron's way (see drawAnchors). */
  readonly anchorDraw: 'distinct' | 'detectron';
  /**
   * Whether anchors that reach too far beyond the image can be an object's best, which is then left without: they are left
   * out of the loss before objects are looked for, or after.
   */
  readonly straddlers: 'unmatched' | 'matched';
  /** Of the boxes that reach an object's best IoU: they keep their own best object, or the object claims them. */
  readonly bestAnchors: 'own_object' | 'claimed';
  /**
   * What the first stage's losses are divided by. `sampled`: the anchors drawn in the batch. `capacity`: with several
   * levels, the anchors that could be drawn (classes; of a softmax the anchors drawn of each level), and the anchors drawn
   * in each image (boxes).
   */
  readonly anchorLoss: 'sampled' | 'capacity';
  /** Where proposals end in evaluation: at the image, or at the padded batch. In training always at the image. */
  readonly proposalBorder: 'image' | 'batch';
  /** Whether a proposal's centre must lie inside, and its smallest size is meant in image pixels. */
  readonly proposalSize: 'network' | 'image';
  /**
   * Which of a level's proposals stay where their number a level is limited: the best; or, of a level with at most as many
   * anchors as non-maximum suppression takes, the first in the order of the anchors, since mmdetection 1.1 (nms_post in
   * rpn_head.py) sorts no such level before it cuts.
   */
  readonly levelProposals: 'best' | 'first_of_few';
  /** In whose pixels proposals meet objects and boxes are refined. */
  readonly secondStage: 'network' | 'image';
  /** In whose pixels overlaps of detections are measured. */
  readonly suppression: 'network' | 'image';
  /** How a box finds its level of the pyramid. */
  readonly roiLevels: RoiLevelRule;
  /**
   * Where RoIAlign's region ends: at the box's corner, at least one cell from its start; or one pixel behind the corner,
   * however near that is (mmdetection 1's RoIAlign).
   */
  readonly roiEnd: 'corner' | 'next_pixel';
  /** Detections beyond the limit: the best are kept in order, or all that reach the score of the last. */
  readonly detectionLimit: 'count' | 'score';
  /**
   * What a mask learns: the image's mask cut to the box by RoIAlign; polygons drawn inside the box, those of the object
   * whose outline overlaps the box most, or those of the box's own object; or the mask's whole pixels inside the box,
   * resized as OpenCV resizes bytes.
   */
  readonly maskTargets: 'cropped' | 'polygons' | 'own_polygons' | 'resized';
  /** Whether a pixel of exactly the threshold's probability belongs to a mask. */
  readonly maskThreshold: 'inclusive' | 'exclusive';
  /** Cells of zeros around a mask before it is enlarged to its box. */
  readonly maskPadding: 0 | 1;
  /**
   * Which RoIs the keypoint head learns from: the positives that the box head learns from, or a draw of its own: among those
   * that hold a visible keypoint of their object, or those whose object's box holds one.
   */
  readonly keypointRois: 'box_head' | 'own_draw' | 'own_draw_by_object';
  /**
   * How the keypoint head's heatmaps are enlarged: by bilinear interpolation, which repeats the border; or by a
   * deconvolution with constant weights, which reads zeros behind it.
   */
  readonly heatmapEnlarging: 'interpolation' | 'deconvolution';
}

/** Level = floor(log2(size / 224) + 4), Feature Pyramid Networks' equation 1, kept from falling short by an epsilon. */
export interface RoiLevelRule {
  /** What the epsilon is added to: the logarithm, or size / 224. */
  readonly epsilonTo: 'logarithm' | 'size';
  readonly epsilon: number;
  /** The number of the finest level: that of its stride, or 2 whatever it is. */
  readonly finest: 'stride' | 'two';
}

const torchvision: Conventions = {
  boxes: 'continuous',
  boundsShrinking: false,
  anchorCells: 'torchvision',
  anchorDraw: 'distinct',
  straddlers: 'unmatched',
  bestAnchors: 'own_object',
  anchorLoss: 'sampled',
  proposalBorder: 'image',
  proposalSize: 'network',
  levelProposals: 'best',
  secondStage: 'network',
  suppression: 'network',
  roiLevels: { epsilonTo: 'logarithm', epsilon: 1e-6, finest: 'stride' },
  roiEnd: 'corner',
  detectionLimit: 'count',
  maskTargets: 'cropped',
  maskThreshold: 'inclusive',
  maskPadding: 1,
  keypointRois: 'box_head',
  heatmapEnlarging: 'interpolation',
};

// Read off Detectron.pytorch, which follows Facebook's Detectron.
const detectron: Conventions = {
  boxes: 'inclusive',
  boundsShrinking: false,
  anchorCells: 'detectron',
  anchorDraw: 'detectron',
  straddlers: 'unmatched',
  bestAnchors: 'own_object',
  anchorLoss: 'capacity',
  proposalBorder: 'batch',
  proposalSize: 'image',
  levelProposals: 'best',
  secondStage: 'image',
  suppression: 'image',
  roiLevels: { epsilonTo: 'size', epsilon: 1e-6, finest: 'stride' },
  roiEnd: 'corner',
  detectionLimit: 'score',
  maskTargets: 'polygons',
  maskThreshold: 'exclusive',
  maskPadding: 1,
  keypointRois: 'own_draw',
  heatmapEnlarging: 'deconvolution',
};

// mmdetection 1.1: anchor_head.py, max_iou_assigner.py, single_level.py, bbox_nms.py, mask_target.py, fcn_mask_head.py. It
// has no keypoint head: these two rules are Detectron's.
const mmdetection: Conventions = {
  boxes: 'inclusive',
  boundsShrinking: true,
  anchorCells: 'mmdetection',
  anchorDraw: 'distinct',
  straddlers: 'unmatched',
  bestAnchors: 'claimed',
  anchorLoss: 'sampled',
  proposalBorder: 'image',
  proposalSize: 'network',
  levelProposals: 'first_of_few',
  secondStage: 'network',
  suppression: 'image',
  // There the size is divided by 56, a quarter of 224, before 1e-6 is added.
  roiLevels: { epsilonTo: 'size', epsilon: 1e-6 / 4, finest: 'two' },
  roiEnd: 'next_pixel',
  detectionLimit: 'count',
  maskTargets: 'resized',
  maskThreshold: 'exclusive',
  maskPadding: 0,
  keypointRois: 'own_draw',
  heatmapEnlarging: 'deconvolution',
};

// maskrcnn-benchmark (modeling/rpn/{anchor_generator,inference,loss}.py, roi_heads/*/{inference,loss}.py, structures/): what it
// took from Detectron, in the network's pixels throughout.
const maskrcnnBenchmark: Conventions = {
  boxes: 'inclusive',
  boundsShrinking: false,
  anchorCells: 'detectron',
  anchorDraw: 'distinct',
  straddlers: 'matched',
  bestAnchors: 'own_object',
  anchorLoss: 'sampled',
  proposalBorder: 'image',
  proposalSize: 'network',
  levelProposals: 'best',
  secondStage: 'network',
  suppression: 'network',
  roiLevels: { epsilonTo: 'size', epsilon: 1e-6, finest: 'stride' },
  roiEnd: 'corner',
  detectionLimit: 'score',
  maskTargets: 'own_polygons',
  maskThreshold: 'exclusive',
  maskPadding: 1,
  keypointRois: 'own_draw_by_object',
  heatmapEnlarging: 'interpolation',
};

export const CONVENTIONS = {
  torchvision,
  detectron,
  mmdetection,
  maskrcnn_benchmark: maskrcnnBenchmark,
} as const;
