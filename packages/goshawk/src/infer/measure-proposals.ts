// The detections of a model of proposals alone, as proposals: measured by their recall, and kept for other models.
import { type Dataset, type Detection, evaluateProposals, type ProposalRecall } from '@goshawk/core';
import type { StoredProposals } from '../data/index.js';

/** Average recall at 100 and 1000 proposals a picture, by size of the objects. */
export function measureProposals(
  { annotations }: { readonly annotations: Dataset },
  found: readonly StoredProposals[],
): ProposalRecall[] {
  return evaluateProposals({
    groundTruth: annotations,
    proposals: found.map(({ imageId, boxes }) => ({ imageId, boxes: xywhOf(boxes) })),
  });
}

/** What a model of proposals found in each picture; boxes end where they end (continuous). */
export function proposalsOf(
  samples: readonly { readonly image: { readonly id: number } }[],
  found: readonly (readonly Detection[])[],
): StoredProposals[] {
  return samples.map(({ image }, index) => {
    const own = found[index] ?? [];
    const boxes = new Float32Array(own.length * 4);
    own.forEach(({ bbox }, at) => {
      const [x, y, width, height] = bbox!;
      boxes.set([x, y, x + width, y + height], at * 4);
    });
    return { imageId: image.id, boxes, scores: Float32Array.from(own, ({ score }) => score) };
  });
}

function xywhOf(corners: Float32Array): Float32Array {
  return corners.map((value, i) => (i % 4 >= 2 ? value - corners[i - 2]! : value));
}
