// Which stored proposals a model gets: the best so many of a picture, and none that lie in a crowd region (Detectron,
// lib/datasets/json_dataset.py, _filter_crowd_proposals: TEST.PROPOSAL_LIMIT and TRAIN.CROWD_FILTER_THRESH).
import { type BoxXywh, boxIouMatrix, boxXywh, type Dataset } from '@goshawk/core';
import type { ProposalConvention, StoredProposals } from './proposals-file.js';

export interface ProposalSelection {
  /** Proposals kept of a picture; they are stored best first. Absent: all. */
  readonly limit?: number;
  /**
   * Proposals are left out of which more than `share` (0..1) of the area lies in the box of one crowd region: they are
   * neither an object nor background. Absent: none.
   */
  readonly crowds?: { readonly share: number; readonly in: Dataset };
  /** How the proposals' boxes are meant. */
  readonly convention: ProposalConvention;
}

/** By image id, in the same order. */
export function selectProposals(
  proposals: ReadonlyMap<number, StoredProposals>,
  { limit, crowds, convention }: ProposalSelection,
): ReadonlyMap<number, StoredProposals> {
  if (limit === undefined && crowds === undefined) return proposals;
  const crowdsOf = crowds ? crowdBoxes(crowds.in) : new Map<number, readonly BoxXywh[]>();
  const extra = convention === 'inclusive' ? 1 : 0;
  return new Map(
    [...proposals].map(([imageId, own]) => {
      const regions = crowdsOf.get(imageId) ?? [];
      const first = Array.from({ length: Math.min(own.scores.length, limit ?? own.scores.length) }, (_, i) => i);
      const kept = first.filter((i) => {
        const [x, y] = [own.boxes[i * 4]!, own.boxes[i * 4 + 1]!];
        const box = boxXywh(x, y, own.boxes[i * 4 + 2]! - x + extra, own.boxes[i * 4 + 3]! - y + extra);
        const shares = boxIouMatrix(
          [box],
          regions,
          regions.map(() => true),
        );
        return shares.every((share) => share <= crowds!.share);
      });
      return [imageId, pick(own, kept)];
    }),
  );
}

function pick({ imageId, boxes, scores }: StoredProposals, kept: readonly number[]): StoredProposals {
  return {
    imageId,
    boxes: Float32Array.from(kept.flatMap((i) => [...boxes.subarray(i * 4, i * 4 + 4)])),
    scores: Float32Array.from(kept, (i) => scores[i]!),
  };
}

function crowdBoxes({ annotations }: Dataset): Map<number, BoxXywh[]> {
  const byImage = new Map<number, BoxXywh[]>();
  for (const { imageId, isCrowd, bbox } of annotations) {
    if (!isCrowd) continue;
    const own = byImage.get(imageId);
    if (own) own.push(bbox);
    else byImage.set(imageId, [bbox]);
  }
  return byImage;
}
