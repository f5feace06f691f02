// Average precision at one IoU from detections that are right or wrong, as tidecv computes it: 101 recalls, in points of 100.

/** A detection that counts. */
export interface ScoredPoint {
  readonly score: number;
  /** Index of its category. */
  readonly category: number;
  readonly isRight: boolean;
}

/**
 * @param objects by category: how many there are to be found
 * @returns 0 to 100; a category with detections and no objects has 0, one with neither is undefined and left out of the mean
 */
export function meanAp(
  categories: number,
  points: readonly ScoredPoint[],
  objects: Int32Array,
): { mean: number; perCategory: (number | undefined)[] } {
  const grouped = Array.from({ length: categories }, (): ScoredPoint[] => []);
  for (const point of points) grouped[point.category]!.push(point);
  const perCategory = grouped.map((group, category) => {
    const count = objects[category]!;
    if (count === 0) return group.length === 0 ? undefined : 0;
    return averagePrecision(group, count);
  });
  const present = perCategory.filter((ap) => ap !== undefined);
  return { mean: present.reduce((sum, ap) => sum + ap, 0) / Math.max(1, present.length), perCategory };
}

function averagePrecision(points: readonly ScoredPoint[], objects: number): number {
  const sorted = [...points].sort((a, b) => b.score - a.score);
  const recalls: number[] = [];
  const precisions: number[] = [];
  let right = 0;
  sorted.forEach(({ isRight }, index) => {
    if (isRight) right++;
    recalls.push(right / objects);
    precisions.push(right / (index + 1));
  });
  for (let i = precisions.length - 2; i >= 0; i--) precisions[i] = Math.max(precisions[i]!, precisions[i + 1]!);
  let sum = 0;
  let at = 0;
  for (let r = 0; r <= 100; r++) {
    while (at < recalls.length && recalls[at]! < r / 100) at++;
    if (at < recalls.length) sum += precisions[at]!;
  }
  return (sum / 101) * 100;
}
