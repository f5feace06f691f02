// Matches detections to ground truth, category by category and image by image, for every area range and IoU threshold
// in one pass. The rule is pycocotools' (cocoeval.py, evaluateImg): best score first, each takes the free object that
// it overlaps most, and objects to be ignored only where no other is left.
import type { Annotation } from '../formats/dataset.js';
import type { CocoParams, IouType } from './coco-params.js';
import type { EvaluationRows, EvaluationTable } from './evaluation-table.js';
import { hasKeypoints } from './keypoint-similarity.js';
import { overlapMeasure } from './overlap.js';

/** Outcome per area range and detection row; bit t of a word speaks for IoU threshold t. */
export interface Matches {
  /** `[areaRanges, detections]`: matched to an object. */
  readonly matched: Uint32Array;
  /** `[areaRanges, detections]`: neither right nor wrong: matched to an ignored object, or unmatched and outside of the range. */
  readonly ignored: Uint32Array;
  /** Place of each detection row among those of its category and image, best score first, from 0. */
  readonly rank: Int32Array;
  /** `[categories, areaRanges]`: objects to be found. */
  readonly objects: Int32Array;
}

/** Matches all rows of the table. Detections beyond the largest of `params.maxDetections` stay unmatched. */
export function matchDetections(table: EvaluationTable, params: CocoParams, iouType: IouType): Matches {
  const { truths, detections, columns } = table;
  const rows = detections.count;
  const areaCount = params.areaRanges.length;
  const matches: Matches = {
    matched: new Uint32Array(areaCount * rows),
    ignored: new Uint32Array(areaCount * rows),
    rank: new Int32Array(rows),
    objects: new Int32Array(table.categoryCount * areaCount),
  };
  const most = params.maxDetections[params.maxDetections.length - 1]!;
  const { measure } = overlapMeasure(iouType, params);
  const matchGroup = groupMatcher(params, iouType, rows, matches);
  let overlap = new Float64Array(1024);
  let areas = new Float64Array(128);
  let truthRow = 0;
  let row = 0;
  while (truthRow < truths.count || row < rows) {
    const group = Math.min(truths.group[truthRow]!, detections.group[row]!);
    const firstTruth = truthRow;
    while (truths.group[truthRow] === group) truthRow++;
    const first = row;
    while (detections.group[row] === group) {
      matches.rank[row] = row - first;
      row++;
    }
    const groupTruths = rowsOf(truths, firstTruth, truthRow);
    const items = detections.items.subarray(first, Math.min(row, first + most));
    if (areas.length < items.length) areas = new Float64Array(2 * items.length);
    const pairs = items.length * groupTruths.length;
    if (overlap.length < pairs) overlap = new Float64Array(2 * pairs);
    const image = table.images[Math.floor(group / table.categoryCount)]!;
    measure({ columns, items }, groupTruths, image, overlap, areas);
    matchGroup(items.length, groupTruths, overlap, areas, first, group % table.categoryCount);
  }
  return matches;
}

function rowsOf(rows: EvaluationRows<Annotation>, from: number, to: number): Annotation[] {
  const sources: Annotation[] = [];
  for (let row = from; row < to; row++) sources.push(rows.at(row));
  return sources;
}

type GroupMatcher = (
  detectionCount: number,
  truths: readonly Annotation[],
  overlap: Float64Array,
  areas: Float64Array,
  firstRow: number,
  category: number,
) => void;

function groupMatcher(params: CocoParams, iouType: IouType, rows: number, matches: Matches): GroupMatcher {
  const { areaRanges } = params;
  const areaCount = areaRanges.length;
  // pycocotools caps thresholds there, so that 1 is reached by an exact overlap in spite of rounding.
  const thresholds = Float64Array.from(params.iouThresholds, (threshold) => Math.min(threshold, 1 - 1e-10));
  const lowest = Math.min(...thresholds);
  const everyThreshold = thresholds.length === 32 ? 0xffffffff : 2 ** thresholds.length - 1;
  // Per area range and object: whether it is to be ignored, and the thresholds at which it is taken.
  let isIgnored = new Uint8Array(64);
  let taken = new Uint32Array(64);
  let candidates = new Int32Array(64);

  return (detectionCount, truths, overlap, areas, firstRow, category) => {
    const truthCount = truths.length;
    if (isIgnored.length < areaCount * truthCount) {
      isIgnored = new Uint8Array(2 * areaCount * truthCount);
      taken = new Uint32Array(2 * areaCount * truthCount);
    }
    if (candidates.length < truthCount) candidates = new Int32Array(2 * truthCount);
    for (let g = 0; g < truthCount; g++) {
      const truth = truths[g]!;
      const isNever = truth.isCrowd || (iouType === 'keypoints' && !hasKeypoints(truth));
      for (let a = 0; a < areaCount; a++) {
        const range = areaRanges[a]!;
        const isOut = isNever || truth.area < range.min || truth.area > range.max;
        isIgnored[a * truthCount + g] = isOut ? 1 : 0;
        taken[a * truthCount + g] = 0;
        if (!isOut) matches.objects[category * areaCount + a]!++;
      }
    }
    for (let d = 0; d < detectionCount; d++) {
      let candidateCount = 0;
      for (let g = 0; g < truthCount; g++) {
        if (overlap[d * truthCount + g]! >= lowest) candidates[candidateCount++] = g;
      }
      for (let a = 0; a < areaCount; a++) {
        let matched = 0;
        let ignored = 0;
        for (let t = 0; candidateCount > 0 && t < thresholds.length; t++) {
          const bit = 1 << t;
          let best = -1;
          let bestOverlap = thresholds[t]!;
          // First among the objects that count, then among the ignored ones; of equal overlaps the last one wins.
          for (let wanted = 0; wanted < 2 && best < 0; wanted++) {
            for (let c = 0; c < candidateCount; c++) {
              const g = candidates[c]!;
              const state = a * truthCount + g;
              if (isIgnored[state] !== wanted || overlap[d * truthCount + g]! < bestOverlap) continue;
              if ((taken[state]! & bit) !== 0 && !truths[g]!.isCrowd) continue;
              best = g;
              bestOverlap = overlap[d * truthCount + g]!;
            }
          }
          if (best < 0) continue;
          taken[a * truthCount + best]! |= bit;
          if (isIgnored[a * truthCount + best] === 1) ignored |= bit;
          if (!(params.idZeroIsUnmatched && truths[best]!.id === 0)) matched |= bit;
        }
        const range = areaRanges[a]!;
        if (areas[d]! < range.min || areas[d]! > range.max) ignored |= ~matched & everyThreshold;
        matches.matched[a * rows + firstRow + d] = matched;
        matches.ignored[a * rows + firstRow + d] = ignored;
      }
    }
  };
}
