// Boxes that a region proposal network found, kept in a file: what Fast R-CNN trains and runs on, and what recall is measured
// of. Ours is a safetensors file; Detectron's .pkl ({boxes, scores, ids}, core/test_engine.py) is read as well.
import { InputError } from '@goshawk/core';
import {
  asTensor,
  openSafetensors,
  type PickleValue,
  readCheckpoint,
  type TensorData,
  writeSafetensors,
} from '@goshawk/torch/checkpoint';

/** The proposals of one picture, best first. */
export interface StoredProposals {
  readonly imageId: number;
  /** `[n * 4]`, xyxy in image pixels. */
  readonly boxes: Float32Array;
  /** `[n]`. */
  readonly scores: Float32Array;
}

/** Whether x2 and y2 are where a box ends (continuous) or its last pixel (inclusive, as in Detectron). */
export type ProposalConvention = 'continuous' | 'inclusive';

const FORMAT = 'goshawk-proposals-1';

export function writeProposals(
  path: string,
  proposals: readonly StoredProposals[],
  { convention = 'continuous' }: { readonly convention?: ProposalConvention } = {},
): void {
  const total = proposals.reduce((sum, { scores }) => sum + scores.length, 0);
  const ids = BigInt64Array.from(proposals, ({ imageId }) => BigInt(imageId));
  const counts = BigInt64Array.from(proposals, ({ scores }) => BigInt(scores.length));
  const joined = (width: number, part: (own: StoredProposals) => Float32Array): Uint8Array => {
    const all = new Float32Array(total * width);
    let at = 0;
    for (const own of proposals) {
      all.set(part(own), at);
      at += part(own).length;
    }
    return bytesOf(all);
  };
  writeSafetensors(
    path,
    [
      { name: 'image_ids', dtype: 'int64', shape: [ids.length], data: bytesOf(ids) },
      { name: 'counts', dtype: 'int64', shape: [counts.length], data: bytesOf(counts) },
      { name: 'boxes', dtype: 'float32', shape: [total, 4], data: () => joined(4, ({ boxes }) => boxes) },
      { name: 'scores', dtype: 'float32', shape: [total], data: () => joined(1, ({ scores }) => scores) },
    ],
    { format: FORMAT, convention },
  );
}

/**
 * Reads either kind of file; boxes are given in the asked convention.
 * @returns by image id
 * @throws InputError, or CheckpointError for a damaged file, naming the file and what is wrong with it
 */
export function readProposals(
  path: string,
  { convention = 'continuous' }: { readonly convention?: ProposalConvention } = {},
): Map<number, StoredProposals> {
  const { proposals, convention: stored } = path.endsWith('.safetensors') ? readOwn(path) : readDetectron(path);
  // The last pixel ends one further.
  const shift = stored === convention ? 0 : convention === 'continuous' ? 1 : -1;
  const byImage = new Map<number, StoredProposals>();
  for (const own of proposals) {
    if (byImage.has(own.imageId)) throw invalid(path, `image id ${own.imageId} comes twice`);
    const boxes = shift === 0 ? own.boxes : own.boxes.map((value, i) => (i % 4 >= 2 ? value + shift : value));
    if (!boxes.every(Number.isFinite)) throw invalid(path, `a box of image id ${own.imageId} is not finite`);
    byImage.set(own.imageId, { ...own, boxes });
  }
  return byImage;
}

/**
 * The proposals of several files, each for pictures of its own.
 * @throws InputError as {@link readProposals}, and where two files have proposals for one picture
 */
export function readProposalFiles(
  paths: readonly string[],
  options: { readonly convention?: ProposalConvention } = {},
): Map<number, StoredProposals> {
  const byImage = new Map<number, StoredProposals>();
  const fileOf = new Map<number, string>();
  for (const path of paths) {
    for (const [imageId, own] of readProposals(path, options)) {
      const other = fileOf.get(imageId);
      if (other !== undefined)
        throw new InputError(
          'checkpoint-invalid',
          `${path}: has proposals for image id ${imageId}, as ${other} has: leave one of the files out`,
        );
      fileOf.set(imageId, path);
      byImage.set(imageId, own);
    }
  }
  return byImage;
}

interface ProposalsFile {
  readonly proposals: readonly StoredProposals[];
  readonly convention: ProposalConvention;
}

function readOwn(path: string): ProposalsFile {
  const file = openSafetensors(path);
  try {
    const convention = file.metadata.get('convention');
    if (file.metadata.get('format') !== FORMAT || (convention !== 'continuous' && convention !== 'inclusive'))
      throw invalid(path, 'it holds no proposals');
    const ids = numbersOf(file.read('image_ids'));
    const counts = numbersOf(file.read('counts'));
    const boxes = floatsOf(file.read('boxes'));
    const scores = floatsOf(file.read('scores'));
    const total = counts.reduce((sum, count) => sum + count, 0);
    const isWhole = counts.length === ids.length && scores.length === total && boxes.length === total * 4;
    if (!isWhole || counts.some((count) => count < 0)) throw invalid(path, 'its tensors do not fit one another');
    let at = 0;
    const proposals = ids.map((imageId, i): StoredProposals => {
      const end = at + counts[i]!;
      const own = { imageId, boxes: boxes.slice(at * 4, end * 4), scores: scores.slice(at, end) };
      at = end;
      return own;
    });
    return { proposals, convention };
  } finally {
    file.close();
  }
}

function readDetectron(path: string): ProposalsFile {
  const checkpoint = readCheckpoint(path);
  try {
    const root = checkpoint.root;
    if (!(root instanceof Map)) throw invalid(path, 'it holds no dict of boxes, scores and ids');
    // Files from before 2018 call the ids indexes.
    const ids = listOf(root.get('ids') ?? root.get('indexes'));
    const boxes = listOf(root.get('boxes'));
    const scores = root.has('scores') ? listOf(root.get('scores')) : undefined;
    if (!ids || !boxes || boxes.length !== ids.length || (scores && scores.length !== ids.length))
      throw invalid(path, 'its boxes, scores and ids are no lists of the same length');
    const proposals = ids.map((id, i): StoredProposals => {
      const imageId = Number(id);
      const own = asTensor(boxes[i]);
      if (!Number.isSafeInteger(imageId)) throw invalid(path, `ids[${i}] is no image id`);
      if (own?.shape.length !== 2 || own.shape[1] !== 4) throw invalid(path, `boxes[${i}] is not [n, 4]`);
      const count = own.shape[0]!;
      const score = scores && asTensor(scores[i]);
      if (score && score.shape.reduce((a, b) => a * b, 1) !== count)
        throw invalid(path, `scores[${i}] has another length than boxes[${i}]`);
      const values = score ? floatsOf(score.materialize()) : new Float32Array(count);
      return { imageId, boxes: floatsOf(own.materialize()), scores: values };
    });
    return { proposals, convention: 'inclusive' };
  } finally {
    checkpoint.close();
  }
}

function invalid(path: string, problem: string): InputError {
  return new InputError(
    'checkpoint-invalid',
    `${path}: ${problem}: name a file of goshawk eval --save-proposals, or Detectron's proposals (.pkl)`,
  );
}

/** A list, or a numpy array of numbers or objects. */
function listOf(value: PickleValue | undefined): readonly PickleValue[] | undefined {
  if (Array.isArray(value)) return value;
  const array = asTensor(value);
  return array && array.shape.length === 1 ? numbersOf(array.materialize()) : undefined;
}

function numbersOf({ dtype, data }: TensorData): number[] {
  const buffer = data.slice().buffer;
  switch (dtype) {
    case 'float32':
      return Array.from(new Float32Array(buffer));
    case 'float64':
      return Array.from(new Float64Array(buffer));
    case 'int64':
      return Array.from(new BigInt64Array(buffer), Number);
    case 'int32':
      return Array.from(new Int32Array(buffer));
    default:
      return [];
  }
}

function floatsOf(tensor: TensorData): Float32Array {
  return tensor.dtype === 'float32'
    ? new Float32Array(tensor.data.slice().buffer)
    : Float32Array.from(numbersOf(tensor));
}

function bytesOf(array: Float32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
