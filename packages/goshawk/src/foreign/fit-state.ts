// A recognised state made to fit one model: what depends on the model and not on the file's names alone.
import { InputError } from '@goshawk/core';
import type { LazyTensor, TensorData } from '@goshawk/torch';
import type { StateNorm } from './dialect.js';

export interface FitOptions {
  /** Names of the model's tensors. */
  readonly expected: ReadonlySet<string>;
  /** How the model's backbone is normalised, and the file's. */
  readonly modelNorm?: string | undefined;
  readonly stateNorm?: StateNorm | undefined;
  /** The file, for errors. */
  readonly path: string;
}

// torch.nn.BatchNorm2d's default, with which Detectron.pytorch folds (lib/utils/resnet_weights_helper.py).
const BATCH_NORM_EPS = 1e-5;

/**
 * - Stage 5 of a C4 model goes to the heads that hold it.
 * - Batch norm becomes a factor and an offset for a model of norm affine; a factor and an offset become a batch norm of mean 0 and
 *   variance 1 for the others.
 * - Levels of a pyramid that the model does not have are left out.
 *
 * @throws InputError where the file's backbone is normalised in a way that cannot become the model's
 */
export function fitState<T extends TensorData | LazyTensor>(
  state: ReadonlyMap<string, T>,
  options: FitOptions,
): Map<string, T | TensorData> {
  checkNorms(options);
  const placed = withoutSparePyramid(placeStage5(state, options.expected), options.expected);
  if (options.modelNorm === 'affine') return foldBatchNorms(placed, options.expected);
  return options.stateNorm === 'affine' ? withNeutralStatistics(placed, options.expected) : placed;
}

function checkNorms({ modelNorm, stateNorm, path }: FitOptions): void {
  if (stateNorm === undefined || modelNorm === undefined) return;
  if ((stateNorm === 'group') === (modelNorm === 'group')) return;
  const words = (norm: string): string => (norm === 'group' ? 'group norm' : 'batch norm or its factors');
  throw new InputError(
    'checkpoint-invalid',
    `${path}: its backbone has ${words(stateNorm)}, the model ${words(modelNorm)}: take a file of the same kind, such as ${modelNorm === 'group' ? 'R-50-GN.pkl' : 'R-50.pkl'}`,
  );
}

const BODY_STAGE = 'backbone.body.layer4.';
const BOX_STAGE = 'roi_heads.box_head.layer4.';
const MASK_STAGE = 'roi_heads.mask_head.layer4.';

/** The model decides which of its parts hold a stage 5; each of them starts from the nearest one in the file. */
function placeStage5<T>(state: ReadonlyMap<string, T>, expected: ReadonlySet<string>): Map<string, T> {
  const has = (names: Iterable<string>, prefix: string): boolean => [...names].some((name) => name.startsWith(prefix));
  const placed = new Map(state);
  const sources = { [BOX_STAGE]: [BODY_STAGE], [MASK_STAGE]: [BOX_STAGE, BODY_STAGE] };
  for (const [target, candidates] of Object.entries(sources)) {
    if (!has(expected, target) || has(state.keys(), target)) continue;
    const source = candidates.find((prefix) => has(placed.keys(), prefix));
    if (source === undefined) continue;
    for (const [name, value] of [...placed]) {
      if (name.startsWith(source)) placed.set(target + name.slice(source.length), value);
    }
  }
  // What was moved, and the second name of a stage that two heads share.
  const isC4 = has(expected, BOX_STAGE);
  if (isC4 && !has(expected, BODY_STAGE)) remove(placed, BODY_STAGE);
  if (isC4 && !has(expected, MASK_STAGE)) remove(placed, MASK_STAGE);
  return placed;
}

function remove(state: Map<string, unknown>, prefix: string): void {
  for (const name of [...state.keys()]) if (name.startsWith(prefix)) state.delete(name);
}

const FINEST_LEVEL = 'backbone.fpn.layer_blocks.0.0.weight';
const COARSER_LEVEL = /^backbone\.fpn\.layer_blocks\.[1-3]\./;

/** A pyramid of the finest level alone: the originals compute the coarser ones and read none. */
function withoutSparePyramid<T>(state: Map<string, T>, expected: ReadonlySet<string>): Map<string, T> {
  if (!expected.has(FINEST_LEVEL)) return state;
  for (const name of [...state.keys()]) if (COARSER_LEVEL.test(name) && !expected.has(name)) state.delete(name);
  return state;
}

/** Detectron's blobs have statistics no longer: they lie in factor and offset. */
function withNeutralStatistics<T extends TensorData | LazyTensor>(
  state: Map<string, T>,
  expected: ReadonlySet<string>,
): Map<string, T | TensorData> {
  const complete = new Map<string, T | TensorData>(state);
  for (const [name, value] of state) {
    const norm = /^(.*)\.weight$/.exec(name)?.[1];
    if (norm === undefined || value.shape.length !== 1) continue;
    for (const [leaf, neutral] of [
      ['running_mean', 0],
      ['running_var', 1],
    ] as const) {
      const own = `${norm}.${leaf}`;
      if (expected.has(own) && !state.has(own))
        complete.set(own, tensorOf(new Float32Array(value.shape[0]!).fill(neutral)));
    }
  }
  return complete;
}

/** scale' = scale / sqrt(variance + eps), offset' = offset - mean * scale'. */
function foldBatchNorms<T extends TensorData | LazyTensor>(
  state: Map<string, T>,
  expected: ReadonlySet<string>,
): Map<string, T | TensorData> {
  const folded = new Map<string, T | TensorData>(state);
  for (const name of state.keys()) {
    if (!name.endsWith('.running_var')) continue;
    const norm = name.slice(0, -'.running_var'.length);
    const parts = ['weight', 'bias', 'running_mean', 'running_var'].map((leaf) => state.get(`${norm}.${leaf}`));
    if (!expected.has(`${norm}.weight`) || expected.has(name)) continue;
    const [scale, offset, mean, variance] = parts.map((part) => (part === undefined ? undefined : floats(part)));
    if (scale === undefined || offset === undefined || mean === undefined || variance === undefined) continue;
    const factor = scale.map((value, i) => value / Math.sqrt(variance[i]! + BATCH_NORM_EPS));
    folded.set(`${norm}.weight`, tensorOf(factor));
    folded.set(`${norm}.bias`, tensorOf(offset.map((value, i) => value - mean[i]! * factor[i]!)));
    for (const leaf of ['running_mean', 'running_var', 'num_batches_tracked']) folded.delete(`${norm}.${leaf}`);
  }
  return folded;
}

/** The values of a float32 tensor; undefined for another type, which is left as it is. */
function floats(tensor: TensorData | LazyTensor): Float32Array | undefined {
  const { dtype, data } = 'data' in tensor ? tensor : tensor.materialize();
  if (dtype !== 'float32') return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Float32Array.from({ length: data.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

function tensorOf(values: Float32Array): TensorData {
  return { dtype: 'float32', shape: [values.length], data: new Uint8Array(values.buffer) };
}
