// Which stored proposals a model gets: those that differ and are large enough, the best so many of a picture, and none that
// lie in a crowd region; in this order (Detectron, detectron/datasets/json_dataset.py, _add_proposals_from_file: MIN_SIZE 2,
// TEST.PROPOSAL_LIMIT and TRAIN.CROWD_FILTER_THRESH).
import { type BoxXywh, boxIouMatrix, boxXywh, type Dataset } from '@goshawk/core';
import type { ProposalConvention, StoredProposals } from './proposals-file.js';

export interface ProposalSelection {
  /** How the proposals' boxes are meant. */
  readonly convention: ProposalConvention;
  /**
   * Of proposals that are the same in whole pixels, clipped to the picture, only the first is kept (box_utils.unique_boxes).
   * Default false.
   */
  readonly distinct?: boolean;
  /** Proposals are left out whose width or height in the picture is at most this many pixels. Default 0: none is. */
  readonly minSize?: number;
  /** Proposals kept of a picture; they are stored best first. Absent: all. */
  readonly limit?: number;
  /**
   * Proposals are left out of which more than this share (0..1) of the area lies in the box of one crowd region: they are
   * neither an object nor background. Absent: none.
   */
  readonly crowdShare?: number;
}

/**
 * By image id, in the same order; boxes stay as they are stored.
 * @param dataset the pictures, by whose borders boxes are compared and measured, with their crowd regions
 */
export function selectProposals(
  proposals: ReadonlyMap<number, StoredProposals>,
  dataset: Pick<Dataset, 'images' | 'annotations'>,
  selection: ProposalSelection,
): ReadonlyMap<number, StoredProposals> {
  const { distinct = false, minSize = 0, limit = Number.POSITIVE_INFINITY, crowdShare } = selection;
  if (!distinct && minSize === 0 && limit === Number.POSITIVE_INFINITY && crowdShare === undefined) return proposals;
  const sizeOf = new Map(dataset.images.map((image) => [image.id, image]));
  const crowdsOf = crowdShare === undefined ? new Map<number, readonly BoxXywh[]>() : crowdBoxes(dataset.annotations);
  const extra = selection.convention === 'inclusive' ? 1 : 0;
  return new Map(
    [...proposals].map(([imageId, own]) => {
      const size = sizeOf.get(imageId);
      const crowds = crowdsOf.get(imageId) ?? [];
      const seen = new Set<string>();
      let kept: number[] = [];
      for (let i = 0; i < own.scores.length && kept.length < limit; i++) {
        const [x1, y1, x2, y2] = clipped(own.boxes.subarray(i * 4, i * 4 + 4), size, extra);
        const rounded = [x1, y1, x2, y2].map(Math.round).join();
        if (distinct && seen.has(rounded)) continue;
        seen.add(rounded);
        if (minSize > 0 && (x2 - x1 + extra <= minSize || y2 - y1 + extra <= minSize)) continue;
        kept.push(i);
      }
      if (crowds.length > 0) kept = kept.filter((i) => largestShare(own.boxes, i, crowds, extra) <= crowdShare!);
      return [imageId, pick(own, kept)];
    }),
  );
}

/** A box within its picture, xyxy; the largest coordinate is the picture's side, or its last pixel. */
function clipped(
  box: Float32Array,
  size: { readonly width: number; readonly height: number } | undefined,
  extra: number,
): readonly [number, number, number, number] {
  const within = (value: number, side: number | undefined) =>
    side === undefined ? value : Math.max(0, Math.min(value, side - extra));
  const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = box;
  return [within(x1, size?.width), within(y1, size?.height), within(x2, size?.width), within(y2, size?.height)];
}

function largestShare(boxes: Float32Array, i: number, crowds: readonly BoxXywh[], extra: number): number {
  const [x, y] = [boxes[i * 4]!, boxes[i * 4 + 1]!];
  const box = boxXywh(x, y, boxes[i * 4 + 2]! - x + extra, boxes[i * 4 + 3]! - y + extra);
  const shares = boxIouMatrix(
    [box],
    crowds,
    crowds.map(() => true),
  );
  return shares.reduce((largest, share) => Math.max(largest, share), 0);
}

function pick({ imageId, boxes, scores }: StoredProposals, kept: readonly number[]): StoredProposals {
  return {
    imageId,
    boxes: Float32Array.from(kept.flatMap((i) => [...boxes.subarray(i * 4, i * 4 + 4)])),
    scores: Float32Array.from(kept, (i) => scores[i]!),
  };
}

function crowdBoxes(annotations: Dataset['annotations']): Map<number, BoxXywh[]> {
  const byImage = new Map<number, BoxXywh[]>();
  for (const { imageId, isCrowd, bbox } of annotations) {
    if (!isCrowd) continue;
    const own = byImage.get(imageId);
    if (own) own.push(bbox);
    else byImage.set(imageId, [bbox]);
  }
  return byImage;
}
