// How many detections an image keeps.
import { ops, type Tensor } from '@goshawk/torch';
import type { Conventions } from './conventions.js';

/** How many of the [N] descending scores are kept. */
export function keptCount(scores: Tensor, limit: number, rule: Conventions['detectionLimit']): number {
  const count = scores.size(0);
  if (count <= limit || rule === 'count') return Math.min(count, limit);
  const last = ops.select(scores, 0, limit - 1);
  return ops.sum(ops.ge(scores, last).to('int64')).item();
}
