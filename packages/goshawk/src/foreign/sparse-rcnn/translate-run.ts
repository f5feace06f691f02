// The pictures and the training that a sparse_rcnnv1 config describes (datasets/coco.py, solver/ddp_mix_solver.py), as those parts of
// ours.
import type { ConfigPart } from '../dialect.js';
import type { PythonLiteral } from '../shared/python-literal.js';
import { truth } from '../shared/python-truth.js';
import { keyError, show } from '../shared/yaml-settings.js';
import type { SparseRcnnSettings } from './keys.js';
import { translateAugment } from './translate-augment.js';

export function translatePreprocess({ values: { data } }: SparseRcnnSettings): ConfigPart {
  return {
    resize: { rule: 'letterbox', kernel: 'opencv', minSize: data.max_thresh, maxSize: data.max_thresh },
    padColour: [123, 116, 103],
    padMultiple: 1,
  };
}

export function translateData(settings: SparseRcnnSettings): ConfigPart {
  const { data } = settings.values;
  const limit = limitOf(settings);
  const split = (annotations: string, images: string): ConfigPart | undefined =>
    annotations === '' ? undefined : { annotations, ...(images === '' ? {} : { images }), ...limit };
  const train = split(data.train_annotation_path, data.train_img_root);
  const val = split(data.val_annotation_path, data.val_img_root);
  return {
    ...(train && { train }),
    ...(val && { val }),
    ...translateAugment(data.max_thresh),
    workers: data.num_workers,
    aspectGrouping: false,
    learnCrowds: truth(data.use_crowd),
    skipEmpty: truth(data.remove_blank),
  };
}

function limitOf(settings: SparseRcnnSettings): ConfigPart {
  const { debug } = settings.values.data;
  if (!truth(debug)) return {};
  const count = debug === true ? 1 : debug;
  if (typeof count === 'number' && Number.isInteger(count) && count > 0) return { limit: count };
  throw keyError(settings, 'data.debug', `got ${show(debug)}, expected False or a number of pictures`);
}

export function translateTrain(settings: SparseRcnnSettings): ConfigPart {
  const { data, optim, val } = settings.values;
  return {
    epochs: optim.epochs,
    batchSize: data.batch_size * gpuCount(settings),
    precision: truth(optim.amp) ? 'bf16' : 'fp32',
    optimizer: optimizerOf(settings),
    schedule: {
      warmupIterations: optim.warm_up_iter,
      warmupFactor: optim.warm_up_factor,
      steps: [...optim.milestones],
      stepUnit: 'epoch',
      gamma: optim.alpha,
    },
    ema: { decay: 0.9999, rampUp: 2000 },
    intervalUnit: 'epoch',
    evaluateEvery: val.interval,
    checkpointEvery: val.interval,
  };
}

const NAMES = { AdamW: 'adamw', Adam: 'adam', SGD: 'sgd' } as const;

function optimizerOf({ values: { optim } }: SparseRcnnSettings): ConfigPart {
  const type = NAMES[optim.optimizer as keyof typeof NAMES];
  return {
    type,
    lr: optim.lr,
    weightDecay: optim.weight_decay,
    ...(type === 'sgd' ? { momentum: optim.momentum } : {}),
    // Told by the names, so that the norms of the towers, which are not called so, lose weight too.
    groups: [{ names: ['.norm', '.bn'], weightDecay: 0 }],
  };
}

/** `gpus: 0,1,2,3` is four, `gpus: 0` one. */
function gpuCount(settings: SparseRcnnSettings): number {
  const { gpus } = settings.values;
  const listed = listOf(gpus);
  if (listed.length > 0 && listed.every((gpu) => /^\d+$/.test(String(gpu).trim()))) return listed.length;
  throw keyError(settings, 'gpus', `got ${show(gpus)}, expected numbers of GPUs such as 0,1,2,3`);
}

function listOf(gpus: PythonLiteral): readonly unknown[] {
  if (Array.isArray(gpus)) return gpus;
  return typeof gpus === 'string' ? gpus.split(',').filter((part) => part.trim() !== '') : [gpus];
}
