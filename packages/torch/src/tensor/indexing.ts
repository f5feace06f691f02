// Indexing by whole numbers, ranges, masks and lists of indices together, as PyTorch's x[i, 2:5, mask].
import { callTensorOp } from './dispatch.js';
import { Tensor } from './tensor.js';

/**
 * What stands for one dimension: a number takes one entry and drops the dimension, null takes all, a range some
 * (`end` not included, negative ones count from the last), a tensor of int64 the entries that it lists, a bool or
 * uint8 tensor those where it is true (over as many dimensions as it has).
 */
export type IndexItem = number | null | Tensor | IndexRange;

export interface IndexRange {
  readonly start?: number;
  readonly end?: number;
  readonly step?: number;
}

/**
 * `x[items...]`; dimensions beyond the items are taken whole. A view of `x` unless an item is a tensor.
 * @throws Error where an index lies outside
 */
export function index(x: Tensor, items: readonly IndexItem[]): Tensor {
  const { view, indices } = viewOf(x, items);
  return indices.length > 0 ? callTensorOp('aten::index.Tensor', view, indices) : view;
}

/** `x[items...] = values`, in place: values are broadcast; with `accumulate` added, also where an index repeats. */
export function indexPut(
  x: Tensor,
  items: readonly IndexItem[],
  values: Tensor | number,
  options: { accumulate?: boolean } = {},
): void {
  const { view, indices } = viewOf(x, items);
  const accumulate = options.accumulate ?? false;
  const source =
    typeof values === 'number' ? callTensorOp('aten::full', [], values, x.dtype, undefined, x.device) : values;
  if (indices.length > 0) callTensorOp('aten::index_put_', view, indices, source, accumulate);
  else if (accumulate) callTensorOp('aten::add_.Tensor', view, source);
  else callTensorOp('aten::copy_', view, source);
}

function viewOf(x: Tensor, items: readonly IndexItem[]): { view: Tensor; indices: (Tensor | null)[] } {
  let view = x;
  let indices: (Tensor | null)[] = [];
  let dim = 0;
  for (const item of items) {
    if (typeof item === 'number') {
      view = callTensorOp('aten::select.int', view, dim, item);
      continue;
    }
    if (item instanceof Tensor) {
      indices.push(item);
      // A mask stands for all the dimensions that it has.
      dim += item.dtype === 'bool' || item.dtype === 'uint8' ? item.rank : 1;
      continue;
    }
    if (item) view = callTensorOp('aten::slice.Tensor', view, dim, item.start, item.end, item.step);
    indices.push(null);
    dim++;
  }
  if (!indices.some((item) => item)) indices = [];
  return { view, indices };
}
