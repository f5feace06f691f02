// The keys of maskrcnn-benchmark's config/defaults.py about pictures, training and testing, with its defaults, and those that
// came after the version that Res2Net's fork is made from.
import { any, choice, fixed, flag, float, floats, int, ints, noted, text, texts, unused } from '../shared/key-kinds.js';

// What several keys have in common.
const NO_COLOUR = 'training changes no colours here';
const EXPECTED = '`goshawk eval` prints what it measures and compares it with nothing';
const NAMES = 'names of its catalog, or of the file that PATHS_CATALOG names; others as `data` in our names';

export const runKeys = {
  INPUT: {
    MIN_SIZE_TRAIN: noted(any([800]), 'one length or several, of which one is drawn for each picture'),
    MAX_SIZE_TRAIN: int(1333),
    MIN_SIZE_TEST: int(800),
    MAX_SIZE_TEST: int(1333),
    PIXEL_MEAN: floats(102.9801, 115.9465, 122.7717),
    PIXEL_STD: floats(1, 1, 1),
    TO_BGR255: flag(true),
    BRIGHTNESS: fixed(float(0), NO_COLOUR),
    CONTRAST: fixed(float(0), NO_COLOUR),
    SATURATION: fixed(float(0), NO_COLOUR),
    HUE: fixed(float(0), NO_COLOUR),
    HORIZONTAL_FLIP_PROB_TRAIN: float(0.5),
    VERTICAL_FLIP_PROB_TRAIN: fixed(float(0), 'pictures are mirrored left to right alone'),
  },
  DATASETS: { TRAIN: noted(texts(), NAMES), TEST: noted(texts(), NAMES) },
  DATALOADER: {
    NUM_WORKERS: noted(int(4), 'worker threads that read pictures'),
    SIZE_DIVISIBILITY: int(0),
    ASPECT_RATIO_GROUPING: flag(true),
  },
  SOLVER: {
    MAX_ITER: int(40000),
    BASE_LR: float(0.001),
    BIAS_LR_FACTOR: float(2),
    MOMENTUM: float(0.9),
    WEIGHT_DECAY: float(0.0005),
    WEIGHT_DECAY_BIAS: float(0),
    GAMMA: float(0.1),
    STEPS: ints(30000),
    WARMUP_FACTOR: float(1 / 3),
    WARMUP_ITERS: int(500),
    WARMUP_METHOD: choice('linear', 'constant'),
    CHECKPOINT_PERIOD: int(2500),
    TEST_PERIOD: int(0),
    IMS_PER_BATCH: noted(int(16), 'pictures of one step, over all devices together'),
  },
  TEST: {
    EXPECTED_RESULTS: unused(any([]), EXPECTED),
    EXPECTED_RESULTS_SIGMA_TOL: unused(float(4), EXPECTED),
    IMS_PER_BATCH: noted(
      int(8),
      'where a file or an option gives it; else 1. Pictures of one pass, over all processes together, of one size in the network, so that none is padded for another',
    ),
    DETECTIONS_PER_IMG: noted(int(100), 'of RetinaNet; the others have MODEL.ROI_HEADS.DETECTIONS_PER_IMG'),
    BBOX_AUG: {
      ENABLED: flag(false),
      H_FLIP: flag(false),
      SCALES: ints(),
      MAX_SIZE: int(4000),
      SCALE_H_FLIP: flag(false),
    },
  },
  OUTPUT_DIR: unused(text('.'), '`--output` names the folder'),
  PATHS_CATALOG: noted(text(''), 'a small YAML file of names: see docs/maskrcnn-benchmark.md'),
  DTYPE: noted(choice('float32', 'float16'), 'float16: `train.precision: bf16`'),
  AMP_VERBOSE: unused(flag(false), 'there is nothing to say about it'),
} as const;
