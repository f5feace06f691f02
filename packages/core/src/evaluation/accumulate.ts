// From matches to precision and recall curves, as pycocotools computes them (cocoeval.py, accumulate).
import type { CocoParams } from './coco-params.js';
import type { EvaluationTable } from './evaluation-table.js';
import type { Matches } from './match-detections.js';

/** Numbers in row-major order with their dimensions. */
export interface NumberGrid {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** Counts over all images and categories, for the first area range and the largest of `maxDetections`. */
export interface MatchingCounts {
  /** Per IoU threshold: detections matched to an object that counts. */
  readonly truePositives: number[];
  /** Per IoU threshold: detections without such a match, where they count. */
  readonly falsePositives: number[];
  /** Per IoU threshold: detections that are neither, as of a crowd or outside of the area range. */
  readonly ignored: number[];
  /** Objects to be found. */
  readonly groundTruths: number;
}

export interface Curves {
  /** `[iouThresholds, recallThresholds, categories, areaRanges, maxDetections]`, -1 where there is nothing to find. */
  readonly precision: NumberGrid;
  /** `[iouThresholds, categories, areaRanges, maxDetections]`, -1 where there is nothing to find. */
  readonly recall: NumberGrid;
  /** As `precision`: the score of the detection at which that recall is reached, 0 where it is not. */
  readonly scores: NumberGrid;
  readonly counts: MatchingCounts;
}

export function accumulateCurves(table: EvaluationTable, matches: Matches, params: CocoParams): Curves {
  const thresholdCount = params.iouThresholds.length;
  const recallCount = params.recallThresholds.length;
  const areaCount = params.areaRanges.length;
  const limits = params.maxDetections;
  const recallShape = [thresholdCount, table.categoryCount, areaCount, limits.length];
  const precisionShape = [thresholdCount, recallCount, ...recallShape.slice(1)];
  const precision = minusOnes(precisionShape);
  const scores = minusOnes(precisionShape);
  const recall = minusOnes(recallShape);
  const counts: MatchingCounts = {
    truePositives: new Array<number>(thresholdCount).fill(0),
    falsePositives: new Array<number>(thresholdCount).fill(0),
    ignored: new Array<number>(thresholdCount).fill(0),
    groundTruths: sumColumn(matches.objects, areaCount),
  };
  const walk = curveWalk(table, matches, thresholdCount);
  // Distance in `precision` from one recall threshold to the next.
  const recallStride = table.categoryCount * areaCount * limits.length;

  for (let k = 0; k < table.categoryCount; k++) {
    const first = table.categoryStart[k]!;
    const end = table.categoryStart[k + 1]!;
    for (let a = 0; a < areaCount; a++) {
      const objects = matches.objects[k * areaCount + a]!;
      for (let m = 0; m < limits.length; m++) {
        const isCounted = a === 0 && m === limits.length - 1;
        if (objects === 0 && !isCounted) continue;
        const curve = walk(first, end, a, limits[m]!, objects);
        for (let t = 0; t < thresholdCount; t++) {
          const found = curve.truePositives[t]!;
          if (isCounted) {
            const wrong = curve.falsePositives[t]!;
            counts.truePositives[t]! += found;
            counts.falsePositives[t]! += wrong;
            counts.ignored[t]! += curve.detections - found - wrong;
          }
          if (objects === 0) continue;
          const column = (k * areaCount + a) * limits.length + m;
          recall.data[t * recallStride + column] = found / objects;
          makeMonotone(curve.precision, t * curve.capacity, found);
          for (let r = 0; r < recallCount; r++) {
            const at = (t * recallCount + r) * recallStride + column;
            const needed = objectsFor(params.recallThresholds[r]!, objects);
            // Recall 0 is reached by the first detection, right or wrong; precision there is the best of the curve.
            const place = t * curve.capacity + Math.max(needed, 1) - 1;
            const isReached = Math.max(needed, 1) <= found;
            precision.data[at] = isReached ? curve.precision[place]! : 0;
            scores.data[at] = needed === 0 ? curve.firstScore : isReached ? curve.score[place]! : 0;
          }
        }
      }
    }
  }
  return { precision, recall, scores, counts };
}

interface Curve {
  readonly detections: number;
  readonly firstScore: number;
  readonly truePositives: Int32Array;
  readonly falsePositives: Int32Array;
  /** Entries per IoU threshold in the two lists below. */
  readonly capacity: number;
  /** `[iouThresholds, capacity]`: precision and score at each true positive, best score first. */
  readonly precision: Float64Array;
  readonly score: Float64Array;
}

// Walks the detections of a category, best score first, for all IoU thresholds at once. Precision rises only at true
// positives, so only they are kept. Its buffers are used again at the next call.
function curveWalk(table: EvaluationTable, matches: Matches, thresholdCount: number) {
  const rows = table.score.length;
  const everyThreshold = thresholdCount === 32 ? -1 : 2 ** thresholdCount - 1;
  const truePositives = new Int32Array(thresholdCount);
  const falsePositives = new Int32Array(thresholdCount);
  let precision = new Float64Array(0);
  let score = new Float64Array(0);

  return (first: number, end: number, area: number, limit: number, objects: number): Curve => {
    if (precision.length < thresholdCount * objects) {
      precision = new Float64Array(thresholdCount * objects);
      score = new Float64Array(thresholdCount * objects);
    }
    truePositives.fill(0);
    falsePositives.fill(0);
    let detections = 0;
    let firstScore = 0;
    // Most detections are wrong at every threshold; these are counted once.
    let wrongEverywhere = 0;
    for (let i = first; i < end; i++) {
      const row = table.byScore[i]!;
      if (matches.rank[row]! >= limit) continue;
      if (detections++ === 0) firstScore = table.score[row]!;
      const matched = matches.matched[area * rows + row]!;
      const counted = ~matches.ignored[area * rows + row]! & everyThreshold;
      let wrong = counted & ~matched;
      if (wrong === everyThreshold) {
        wrongEverywhere++;
        continue;
      }
      for (; wrong !== 0; wrong &= wrong - 1) falsePositives[31 - Math.clz32(wrong & -wrong)]!++;
      for (let right = counted & matched; right !== 0; right &= right - 1) {
        const t = 31 - Math.clz32(right & -right);
        const place = t * objects + truePositives[t]!;
        const found = ++truePositives[t]!;
        // Number.EPSILON as pycocotools adds it: the precision of a first, right detection is 1 - 2**-52.
        precision[place] = found / (falsePositives[t]! + wrongEverywhere + found + Number.EPSILON);
        score[place] = table.score[row]!;
      }
    }
    for (let t = 0; t < thresholdCount; t++) falsePositives[t]! += wrongEverywhere;
    return { detections, firstScore, truePositives, falsePositives, capacity: objects, precision, score };
  };
}

// Each precision becomes the largest at its recall or a higher one.
function makeMonotone(precision: Float64Array, first: number, count: number): void {
  for (let i = first + count - 2; i >= first; i--) {
    if (precision[i]! < precision[i + 1]!) precision[i] = precision[i + 1]!;
  }
}

// The fewest found objects whose recall is at least the threshold, by the division that the recall itself is.
function objectsFor(recallThreshold: number, objects: number): number {
  let needed = Math.max(0, Math.ceil(recallThreshold * objects));
  while (needed > 0 && (needed - 1) / objects >= recallThreshold) needed--;
  while (needed / objects < recallThreshold) needed++;
  return needed;
}

function minusOnes(shape: readonly number[]): NumberGrid {
  return { shape, data: new Float64Array(shape.reduce((size, n) => size * n, 1)).fill(-1) };
}

function sumColumn(grid: Int32Array, columns: number): number {
  let sum = 0;
  for (let i = 0; i < grid.length; i += columns) sum += grid[i]!;
  return sum;
}
