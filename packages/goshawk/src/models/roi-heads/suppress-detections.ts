// What follows the scoring of boxes: those that a better one of their class covers are dropped or lose score, and the kept
// ones may be averaged with those around them.
import { batchedNms, ops, scope, type Tensor, tensor } from '@goshawk/torch';
import type { BoxConvention } from '../conventions.js';
import { type BoxVotingOptions, boxVoting, type ScoredBoxes } from './box-voting.js';
import { type SoftNmsOptions, softNms } from './soft-nms.js';

export interface SuppressionOptions {
  /** IoU above which the worse of two boxes of a class is dropped, or loses score. */
  readonly nmsThreshold: number;
  /** Absent: ordinary NMS. */
  readonly softNms?: Pick<SoftNmsOptions, 'method' | 'sigma' | 'minScore'>;
  /** Absent: none. */
  readonly boxVoting?: Pick<BoxVotingOptions, 'threshold' | 'scoring' | 'beta'>;
  /** Default continuous. With inclusive boxes NMS also drops at exactly the threshold, as Detectron's. */
  readonly convention?: BoxConvention;
}

/** Boxes of one image with a class each. */
export interface ClassifiedBoxes {
  /** [N, 4] float32 xyxy. */
  readonly boxes: Tensor;
  /** [N] float32. */
  readonly scores: Tensor;
  /** [N] int64. */
  readonly labels: Tensor;
}

/** The boxes that remain, best new score first; equal ones in input order. Only boxes of the same class meet. */
export function suppressDetections(candidates: ClassifiedBoxes, options: SuppressionOptions): ClassifiedBoxes {
  const { softNms: soft, boxVoting: voting, convention = 'continuous' } = options;
  return scope(() => {
    const kept = soft ? undefined : hardKept(candidates, options);
    if (kept && !voting) return pick(candidates, kept);
    const boxes = candidates.boxes.toFloat32Array();
    const scores = candidates.scores.toFloat32Array();
    const labels = candidates.labels.toNumbers();
    const keptByClass = kept && groupByClass(kept.toNumbers(), labels);
    const found: Row[] = [];
    for (const [label, members] of groupByClass(labels.keys(), labels)) {
      const all = gather(boxes, scores, members);
      let own = keptByClass?.get(label) ?? [];
      let scored = gather(boxes, scores, own);
      if (soft) {
        const { indices, scores: decayed } = softNms(all.boxes, all.scores, {
          ...soft,
          threshold: options.nmsThreshold,
          convention,
        });
        own = Array.from(indices, (index) => members[index]!);
        scored = { boxes: gather(boxes, scores, own).boxes, scores: decayed };
      }
      const voted = voting ? boxVoting(scored, all, { ...voting, convention }) : scored;
      own.forEach((at, rank) => {
        const box = voted.boxes.subarray(rank * 4, rank * 4 + 4);
        found.push({ at, label, score: voted.scores[rank]!, box });
      });
    }
    found.sort((a, b) => b.score - a.score || a.at - b.at);
    return asTensors(found, candidates.boxes.device);
  });
}

interface Row {
  /** Place among the candidates. */
  readonly at: number;
  readonly label: number;
  readonly score: number;
  readonly box: Float32Array;
}

function hardKept({ boxes, scores, labels }: ClassifiedBoxes, options: SuppressionOptions): Tensor {
  const inclusive = options.convention === 'inclusive';
  return batchedNms(boxes, scores, labels, options.nmsThreshold, { plusOne: inclusive, suppressEqual: inclusive });
}

function pick({ boxes, scores, labels }: ClassifiedBoxes, indices: Tensor): ClassifiedBoxes {
  return {
    boxes: ops.index_select(boxes, 0, indices),
    scores: ops.index_select(scores, 0, indices),
    labels: ops.index_select(labels, 0, indices),
  };
}

function asTensors(rows: readonly Row[], device: string): ClassifiedBoxes {
  const corners = new Float32Array(rows.length * 4);
  rows.forEach(({ box }, row) => {
    corners.set(box, row * 4);
  });
  return {
    boxes: tensor(corners, { shape: [rows.length, 4], device }),
    scores: tensor(
      Float32Array.from(rows, ({ score }) => score),
      { device },
    ),
    labels: tensor(
      BigInt64Array.from(rows, ({ label }) => BigInt(label)),
      { device },
    ),
  };
}

function gather(boxes: Float32Array, scores: Float32Array, members: readonly number[]): ScoredBoxes {
  return {
    boxes: Float32Array.from({ length: members.length * 4 }, (_, i) => boxes[members[i >> 2]! * 4 + (i & 3)]!),
    scores: Float32Array.from(members, (member) => scores[member]!),
  };
}

function groupByClass(indices: Iterable<number>, labels: readonly number[]): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  for (const index of indices) {
    const label = labels[index]!;
    const members = groups.get(label);
    if (members) members.push(index);
    else groups.set(label, [index]);
  }
  return groups;
}
