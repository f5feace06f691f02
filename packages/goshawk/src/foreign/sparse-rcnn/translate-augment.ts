// How sparse_rcnnv1 changes pictures in training (datasets/coco.py), which its config does not say.
import type { ConfigPart } from '../dialect.js';

/** Mirrored every second time, and what stands before that. */
export function translateAugment(): ConfigPart {
  return { flip: 0.5 };
}
