// Which rows and columns of cost matrices belong together; the kernel is native/kernels/linear-assignment.cc.
import { tensor } from '../tensor/create.js';
import { callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';

/**
 * Pairs rows with columns so that the sum of the pairs' costs is the least that there is, as
 * `scipy.optimize.linear_sum_assignment` does. Where several pairings have that sum the result is scipy's. Computed in float64 on
 * the host: from a card the matrices of a batch come in one copy, and one copy goes back.
 * @param costs [B, R, C] floating point, finite in the columns that count
 * @param counts how many of the first columns of each matrix count
 * @returns [B, C] int64: the row of each column; -1 behind the last that counts, and for columns that rows are too few for
 * @throws Error when a shape, a dtype or a count does not fit, or a cost is not finite
 */
export function linearAssignment(costs: Tensor, counts: readonly number[]): Tensor {
  const { device } = costs;
  const lengths = tensor(BigInt64Array.from(counts, BigInt), { shape: [counts.length] });
  if (device === 'cpu') return callTensorOp('goshawk::linear_assignment', costs, lengths);
  return callTensorOp('goshawk::linear_assignment', costs.to({ device: 'cpu' }), lengths).to({ device });
}
