// The pictures, the training and the testing that a maskrcnn-benchmark config describes, as those parts of ours. Rules from its
// data/transforms, data/build.py, solver/build.py and engine/bbox_aug.py.
import type { ConfigPart } from '../dialect.js';
import { keyError, show } from '../shared/yaml-settings.js';
import type { MaskrcnnSettings } from './keys.js';
import { type PathsCatalog, unionOf } from './paths-catalog.js';

export function translatePreprocess(settings: MaskrcnnSettings): ConfigPart {
  const { INPUT, DATALOADER } = settings.values;
  const trainSizes = sizesOf(settings);
  const hasOneSize = trainSizes.length === 1 && trainSizes[0] === INPUT.MIN_SIZE_TEST;
  return {
    resize: {
      rule: 'maskrcnn-benchmark',
      kernel: 'pil',
      minSize: INPUT.MIN_SIZE_TEST,
      maxSize: INPUT.MAX_SIZE_TEST,
      ...(hasOneSize ? {} : { trainMinSizes: trainSizes }),
      ...(INPUT.MAX_SIZE_TRAIN === INPUT.MAX_SIZE_TEST ? {} : { trainMaxSize: INPUT.MAX_SIZE_TRAIN }),
    },
    channels: INPUT.TO_BGR255 ? 'bgr' : 'rgb',
    valueScale: INPUT.TO_BGR255 ? 1 : 1 / 255,
    mean: [...INPUT.PIXEL_MEAN],
    std: [...INPUT.PIXEL_STD],
    padMultiple: Math.max(1, DATALOADER.SIZE_DIVISIBILITY),
  };
}

/** Older files give one length without a list. */
function sizesOf(settings: MaskrcnnSettings): number[] {
  const { MIN_SIZE_TRAIN } = settings.values.INPUT;
  const sizes = typeof MIN_SIZE_TRAIN === 'number' ? [MIN_SIZE_TRAIN] : MIN_SIZE_TRAIN;
  if (Array.isArray(sizes) && sizes.length > 0 && sizes.every((size) => Number.isInteger(size)))
    return sizes as number[];
  throw keyError(
    settings,
    'INPUT.MIN_SIZE_TRAIN',
    `got ${show(MIN_SIZE_TRAIN)}, expected a list of whole numbers: write (800,)`,
  );
}

/** @param notices gets a line for a set of pictures that cannot be found by its name */
export function translateData(settings: MaskrcnnSettings, catalog: PathsCatalog, notices: string[]): ConfigPart {
  const { INPUT, DATALOADER, MODEL } = settings.values;
  const train = translateSplit(settings, 'TRAIN', catalog, notices);
  const val = translateSplit(settings, 'TEST', catalog, notices);
  return {
    ...(train === undefined ? {} : { train }),
    ...(val === undefined ? {} : { val }),
    flip: INPUT.HORIZONTAL_FLIP_PROB_TRAIN,
    workers: DATALOADER.NUM_WORKERS,
    aspectGrouping: DATALOADER.ASPECT_RATIO_GROUPING,
    ...(MODEL.KEYPOINT_ON ? { requireKeypoints: true } : {}),
  };
}

function translateSplit(
  settings: MaskrcnnSettings,
  group: 'TRAIN' | 'TEST',
  catalog: PathsCatalog,
  notices: string[],
): ConfigPart | undefined {
  const names = settings.values.DATASETS[group];
  if (names.length === 0) return undefined;
  const key = `DATASETS.${group}`;
  const union = unionOf(names);
  if (union !== undefined)
    notices.push(`${settings.given.get(key)}: ${key}: taken as ${union}, which these make together`);
  const asked = union === undefined ? names : [union];
  const unknown = asked.find((name) => !catalog.datasets.has(name));
  if (unknown !== undefined) {
    const part = group === 'TRAIN' ? 'train' : 'val';
    notices.push(
      `${settings.given.get(key)}: ${key}: '${unknown}' is not in the catalog: name it in a PATHS_CATALOG, or give the files with --set data.${part}.annotations=FILE --set data.${part}.images=FOLDER`,
    );
    return undefined;
  }
  // Where there are several, each is measured by itself, and its results have its name.
  const named = group === 'TEST' && asked.length > 1;
  const [first, ...also] = asked.map((name) => ({ ...(named && { name }), ...catalog.datasets.get(name)! }));
  return also.length === 0 ? first : { ...first, also };
}

export function translateTrain(settings: MaskrcnnSettings): ConfigPart {
  const { SOLVER, DTYPE } = settings.values;
  return {
    iterations: SOLVER.MAX_ITER,
    batchSize: SOLVER.IMS_PER_BATCH,
    precision: DTYPE === 'float16' ? 'bf16' : 'fp32',
    optimizer: {
      type: 'sgd',
      lr: SOLVER.BASE_LR,
      momentum: SOLVER.MOMENTUM,
      weightDecay: SOLVER.WEIGHT_DECAY,
      biasLrFactor: SOLVER.BIAS_LR_FACTOR,
      biasWeightDecay: SOLVER.WEIGHT_DECAY_BIAS,
    },
    schedule: {
      warmupIterations: SOLVER.WARMUP_ITERS,
      warmupFactor: SOLVER.WARMUP_FACTOR,
      warmup: SOLVER.WARMUP_METHOD,
      steps: [...SOLVER.STEPS],
      gamma: SOLVER.GAMMA,
    },
    checkpointEvery: SOLVER.CHECKPOINT_PERIOD,
    evaluateEvery: Math.max(0, SOLVER.TEST_PERIOD),
  };
}

export function translateInference({ given, values: { TEST } }: MaskrcnnSettings): ConfigPart {
  const { ENABLED, H_FLIP, SCALES, MAX_SIZE, SCALE_H_FLIP } = TEST.BBOX_AUG;
  // Its default is for eight cards.
  const batch = given.has('TEST.IMS_PER_BATCH') ? { batchSize: TEST.IMS_PER_BATCH } : {};
  if (!ENABLED) return batch;
  return {
    ...batch,
    augment: {
      boxes: { enabled: true, flip: H_FLIP, scales: [...SCALES], maxSize: MAX_SIZE, scaleFlip: SCALE_H_FLIP },
    },
  };
}

/** Where a person says so; the original's default is a GPU, ours what this machine is asked for. */
export function translateRuntime({ given, values: { MODEL } }: MaskrcnnSettings): ConfigPart {
  return given.has('MODEL.DEVICE') ? { device: MODEL.DEVICE } : {};
}
