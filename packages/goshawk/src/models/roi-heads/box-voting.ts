// Box voting (Gidaris & Komodakis 2015): a kept box becomes the mean of all boxes around it, weighted by their scores. The
// ways of scoring are those of Detectron's box_voting (utils/boxes.py).
import type { BoxConvention } from '../conventions.js';
import { overlapOf } from './box-overlap.js';

export interface BoxVotingOptions {
  /** Boxes with at least this IoU with the kept one vote. */
  readonly threshold: number;
  /**
   * What becomes of the score s, with s_i those of the voters:
   * - id: it stays;
   * - temp_avg: mean of s_i^(1/beta) / (s_i^(1/beta) + (1 - s_i)^(1/beta)), that is, with beta as a temperature;
   * - avg: mean of s_i;
   * - iou_avg: mean of s_i weighted by the IoU with the kept box;
   * - generalized_avg: (mean of s_i^beta)^(1/beta);
   * - quasi_sum: sum of s_i / count^beta.
   */
  readonly scoring: 'id' | 'temp_avg' | 'avg' | 'iou_avg' | 'generalized_avg' | 'quasi_sum';
  readonly beta: number;
  readonly convention: BoxConvention;
}

/** Boxes N x 4 xyxy of one class and their scores. */
export interface ScoredBoxes {
  readonly boxes: Float32Array;
  readonly scores: Float32Array;
}

/**
 * @param kept after suppression
 * @param all that could be chosen from, before suppression, with their scores from before it
 * @returns as many boxes as were kept, in the same order; one that nothing votes for stays as it is
 */
export function boxVoting(kept: ScoredBoxes, all: ScoredBoxes, options: BoxVotingOptions): ScoredBoxes {
  const boxes = Float32Array.from(kept.boxes);
  const scores = Float32Array.from(kept.scores);
  const votes: number[] = [];
  const overlaps: number[] = [];
  for (let k = 0; k < scores.length; k++) {
    votes.length = 0;
    overlaps.length = 0;
    const sums = [0, 0, 0, 0];
    let weight = 0;
    for (let i = 0; i < all.scores.length; i++) {
      const iou = overlapOf(kept.boxes, k, all.boxes, i, options.convention);
      const score = all.scores[i]!;
      if (!(iou >= options.threshold && score > 0)) continue;
      votes.push(score);
      overlaps.push(iou);
      weight += score;
      for (let side = 0; side < 4; side++) sums[side]! += score * all.boxes[i * 4 + side]!;
    }
    if (votes.length === 0) continue;
    for (let side = 0; side < 4; side++) boxes[k * 4 + side] = sums[side]! / weight;
    scores[k] = votedScore(scores[k]!, votes, overlaps, options);
  }
  return { boxes, scores };
}

function votedScore(
  own: number,
  votes: readonly number[],
  overlaps: readonly number[],
  { scoring, beta }: BoxVotingOptions,
): number {
  const mean = (value: (vote: number, index: number) => number): number =>
    votes.reduce((sum, vote, index) => sum + value(vote, index), 0) / votes.length;
  switch (scoring) {
    case 'id':
      return own;
    case 'temp_avg':
      return mean((vote) => 1 / (1 + ((1 - vote) / vote) ** (1 / beta)));
    case 'avg':
      return mean((vote) => vote);
    case 'iou_avg':
      return mean((vote, index) => vote * overlaps[index]!) / mean((_, index) => overlaps[index]!);
    case 'generalized_avg':
      return mean((vote) => vote ** beta) ** (1 / beta);
    case 'quasi_sum':
      return mean((vote) => vote) * votes.length ** (1 - beta);
  }
}
