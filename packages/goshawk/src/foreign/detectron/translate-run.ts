// The pictures, the training and the testing that a Detectron config describes, as those parts of ours. Rules from
// Detectron.pytorch's tools/train_net_step.py, lib/utils/blob.py and lib/core/test.py.
import type { ConfigPart } from '../dialect.js';
import { keyError, show } from '../shared/yaml-settings.js';
import { datasetFiles, datasetNames } from './datasets.js';
import type { DetectronSettings, DetectronValues } from './keys.js';

export function translatePreprocess(settings: DetectronSettings): ConfigPart {
  const { TRAIN, TEST, FPN } = settings.values;
  const hasOneSize = TRAIN.SCALES.length === 1 && TRAIN.SCALES[0] === TEST.SCALE;
  return {
    resize: {
      rule: 'detectron',
      // With this rule the kernel is OpenCV's on float32: the original subtracts the mean first.
      kernel: 'torch',
      minSize: TEST.SCALE,
      maxSize: TEST.MAX_SIZE,
      ...(hasOneSize ? {} : { trainMinSizes: [...TRAIN.SCALES] }),
      ...(TRAIN.MAX_SIZE === TEST.MAX_SIZE ? {} : { trainMaxSize: TRAIN.MAX_SIZE }),
    },
    channels: 'bgr',
    valueScale: 1,
    mean: pixelMeans(settings),
    std: [1, 1, 1],
    padMultiple: FPN.FPN_ON ? FPN.COARSEST_STRIDE : 1,
  };
}

function pixelMeans(settings: DetectronSettings): readonly unknown[] {
  let means: unknown = settings.values.PIXEL_MEANS;
  for (let depth = 0; depth < 2; depth++) if (Array.isArray(means) && Array.isArray(means[0])) means = means[0];
  if (Array.isArray(means) && means.length === 3 && means.every((mean) => typeof mean === 'number')) return means;
  throw keyError(
    settings,
    'PIXEL_MEANS',
    `got ${show(settings.values.PIXEL_MEANS)}, expected three numbers: [[[102.9801, 115.9465, 122.7717]]]`,
  );
}

/** @param notices gets a line for a set of pictures that cannot be found by its name */
export function translateData(settings: DetectronSettings, notices: string[]): ConfigPart {
  const { TRAIN, DATA_LOADER, MODEL } = settings.values;
  const train = translateSplit(settings, 'TRAIN', notices);
  const val = translateSplit(settings, 'TEST', notices);
  return {
    ...(train === undefined ? {} : { train }),
    ...(val === undefined ? {} : { val }),
    // The original lists every picture twice, once mirrored.
    flip: TRAIN.USE_FLIPPED ? 0.5 : 0,
    workers: DATA_LOADER.NUM_THREADS,
    aspectGrouping: TRAIN.ASPECT_GROUPING,
    ...(TRAIN.ASPECT_CROPPING ? { aspectCropping: { low: TRAIN.ASPECT_LO, high: TRAIN.ASPECT_HI } } : {}),
    ...(MODEL.KEYPOINTS_ON ? { requireKeypoints: true } : {}),
  };
}

// DEBUG True reads so many pictures of a set (lib/datasets/json_dataset.py).
const DEBUG_PICTURES = 100;

function translateSplit(
  settings: DetectronSettings,
  group: 'TRAIN' | 'TEST',
  notices: string[],
): ConfigPart | undefined {
  const { DATASETS } = settings.values[group];
  const { MODEL, DEBUG } = settings.values;
  const key = `${group}.DATASETS`;
  // What the original's --dataset coco2017 and keypoints_coco2017 name.
  const prefix = MODEL.KEYPOINTS_ON ? 'keypoints_coco_2017_' : 'coco_2017_';
  const names = DATASETS.length > 0 ? DATASETS : [`${prefix}${group === 'TRAIN' ? 'train' : 'val'}`];
  const files = datasetFiles(names);
  if (files === undefined) {
    const part = group === 'TRAIN' ? 'train' : 'val';
    const unknown = names.find((name) => !datasetNames.includes(name));
    const reason = unknown === undefined ? `names ${names.length} sets, and one is read` : `'${unknown}' is not known`;
    notices.push(
      `${settings.given.get(key)}: ${key}: ${reason}: give the files with --set data.${part}.annotations=FILE --set data.${part}.images=FOLDER`,
    );
    return undefined;
  }
  return {
    ...files,
    ...(readsProposals(settings) ? translateProposals(settings, group, notices) : {}),
    ...(DEBUG ? { limit: DEBUG_PICTURES } : {}),
  };
}

function translateProposals(settings: DetectronSettings, group: 'TRAIN' | 'TEST', notices: string[]): ConfigPart {
  const key = `${group}.PROPOSAL_FILES`;
  const files = settings.values[group].PROPOSAL_FILES.map((file) => {
    if (!/^https?:/.test(file)) return file;
    // Detectron's addresses end in the data set, generalized_rcnn or rpn, and one name for all files.
    const parts = file.split('/');
    const local = ['data', 'proposals', ...parts.filter((name) => datasetNames.includes(name)), parts.at(-1)].join('/');
    notices.push(
      `${settings.given.get(key)}: ${key} is an address: proposals are read from ${local}; put the file there`,
    );
    return local;
  });
  const rules = proposalRules(settings, group);
  if (files.length === 0) return rules;
  return { proposals: files.length === 1 ? files[0] : files, ...rules };
}

/** Whether the model takes its proposals from files. */
export function readsProposals({ values: { MODEL } }: DetectronSettings): boolean {
  return !MODEL.FASTER_RCNN && !MODEL.RPN_ONLY;
}

/** Which of the proposals are left out (lib/datasets/json_dataset.py, where 0 turns the last two off). */
function proposalRules({ values: { TRAIN, TEST } }: DetectronSettings, group: 'TRAIN' | 'TEST'): ConfigPart {
  const always = { proposalsDistinct: true, proposalMinSize: 2 };
  if (group === 'TEST') return TEST.PROPOSAL_LIMIT > 0 ? { ...always, proposalLimit: TEST.PROPOSAL_LIMIT } : always;
  return TRAIN.CROWD_FILTER_THRESH > 0 ? { ...always, proposalCrowdShare: TRAIN.CROWD_FILTER_THRESH } : always;
}

export function translateTrain(settings: DetectronSettings): ConfigPart {
  const { SOLVER, TRAIN, NUM_GPUS, RNG_SEED } = settings.values;
  const batchSize = NUM_GPUS * TRAIN.IMS_PER_BATCH;
  return {
    iterations: SOLVER.MAX_ITER,
    batchSize,
    referenceBatchSize: batchSize,
    gradients: 'sum',
    seed: RNG_SEED,
    optimizer: translateOptimizer(settings),
    schedule: {
      warmupIterations: SOLVER.WARM_UP_ITERS,
      warmupFactor: SOLVER.WARM_UP_FACTOR,
      warmup: SOLVER.WARM_UP_METHOD,
      steps: translateSteps(settings),
      gamma: SOLVER.GAMMA,
      ...(SOLVER.LR_POLICY === 'steps_with_lrs' && { factors: SOLVER.LRS.slice(1).map((lr) => lr / SOLVER.LRS[0]!) }),
    },
    momentumCorrection: SOLVER.SCALE_MOMENTUM,
    checkpointEvery: Math.max(1, Math.trunc(TRAIN.SNAPSHOT_ITERS / NUM_GPUS)),
  };
}

function translateOptimizer(settings: DetectronSettings): ConfigPart {
  const { SOLVER } = settings.values;
  const type = SOLVER.TYPE.toLowerCase();
  return {
    type,
    lr: SOLVER.LR_POLICY === 'steps_with_lrs' ? firstRate(settings) : SOLVER.BASE_LR,
    ...(type === 'sgd' ? { momentum: SOLVER.MOMENTUM } : {}),
    weightDecay: SOLVER.WEIGHT_DECAY,
    biasLrFactor: SOLVER.BIAS_DOUBLE_LR ? 2 : 1,
    ...(SOLVER.BIAS_WEIGHT_DECAY ? {} : { biasWeightDecay: 0 }),
    normWeightDecay: SOLVER.WEIGHT_DECAY_GN,
  };
}

/** Detectron's steps_with_lrs names the rate of each step and takes no BASE_LR (detectron/utils/lr_policy.py). */
function firstRate(settings: DetectronSettings): number {
  const { LRS, STEPS } = settings.values.SOLVER;
  if (LRS.length !== STEPS.length || !LRS.every((lr) => lr > 0)) {
    const message = `is ${show(LRS)}, expected a rate above 0 for each of the ${STEPS.length} SOLVER.STEPS: correct it`;
    throw keyError(settings, 'SOLVER.LRS', message);
  }
  return LRS[0] ?? settings.values.SOLVER.BASE_LR;
}

// A rate that falls by a tenth a thousand times is no rate.
const MOST_STEPS = 1000;

/** The iterations after which the rate falls. Detectron's list begins with 0, where the first rate begins. */
function translateSteps(settings: DetectronSettings): readonly number[] {
  const { LR_POLICY, STEPS, STEP_SIZE, MAX_ITER } = settings.values.SOLVER;
  if (LR_POLICY === 'step') {
    if (STEP_SIZE < 1) throw keyError(settings, 'SOLVER.STEP_SIZE', `is ${STEP_SIZE}, expected at least 1: correct it`);
    const count = Math.max(0, Math.ceil(MAX_ITER / STEP_SIZE) - 1);
    if (count > MOST_STEPS) {
      const message = `is ${STEP_SIZE}, which makes ${count} steps of ${MAX_ITER} iterations: take at least ${Math.ceil(MAX_ITER / MOST_STEPS)}`;
      throw keyError(settings, 'SOLVER.STEP_SIZE', message);
    }
    return Array.from({ length: count }, (_, index) => (index + 1) * STEP_SIZE);
  }
  if (STEPS[0] !== undefined && STEPS[0] !== 0) {
    const message = `is ${show(STEPS)}, expected it to begin with 0: write (0, ${STEPS.join(', ')})`;
    throw keyError(settings, 'SOLVER.STEPS', message);
  }
  return STEPS.slice(1);
}

export function translateInference({ values: { TEST } }: DetectronSettings): ConfigPart {
  const { BBOX_AUG, MASK_AUG, KPS_AUG } = TEST;
  const augment = {
    ...(BBOX_AUG.ENABLED
      ? {
          boxes: {
            ...translateTransforms(BBOX_AUG),
            scores: heuristic(BBOX_AUG.SCORE_HEUR),
            coordinates: heuristic(BBOX_AUG.COORD_HEUR),
            smallArea: BBOX_AUG.AREA_TH_LO,
            largeArea: BBOX_AUG.AREA_TH_HI,
          },
        }
      : {}),
    ...(MASK_AUG.ENABLED
      ? {
          masks: {
            ...translateTransforms(MASK_AUG),
            heuristic: MASK_AUG.HEUR.toLowerCase(),
            largeArea: MASK_AUG.AREA_TH,
          },
        }
      : {}),
    ...(KPS_AUG.ENABLED
      ? {
          keypoints: {
            ...translateTransforms(KPS_AUG),
            heuristic: KPS_AUG.HEUR.toLowerCase(),
            largeArea: KPS_AUG.AREA_TH,
          },
        }
      : {}),
  };
  return Object.keys(augment).length === 0 ? {} : { augment };
}

type Transforms = Pick<
  DetectronValues['TEST']['MASK_AUG'],
  | 'ENABLED'
  | 'H_FLIP'
  | 'SCALES'
  | 'MAX_SIZE'
  | 'SCALE_H_FLIP'
  | 'SCALE_SIZE_DEP'
  | 'ASPECT_RATIOS'
  | 'ASPECT_RATIO_H_FLIP'
>;

function translateTransforms(keys: Transforms): ConfigPart {
  return {
    enabled: keys.ENABLED,
    flip: keys.H_FLIP,
    scales: [...keys.SCALES],
    maxSize: keys.MAX_SIZE,
    scaleFlip: keys.SCALE_H_FLIP,
    aspectRatios: [...keys.ASPECT_RATIOS],
    aspectRatioFlip: keys.ASPECT_RATIO_H_FLIP,
    sizeDependent: keys.SCALE_SIZE_DEP,
  };
}

const heuristics: Readonly<Record<string, string>> = { UNION: 'union', AVG: 'average', ID: 'identity' };

function heuristic(name: string): string {
  return heuristics[name] ?? name;
}
