// Non-maximum suppression of persons by the similarity of their keypoints (Detectron's nms_oks).
import { oksSigmas } from '@goshawk/core';

/**
 * Keeps a person unless a better one, by the mean logit of its keypoints, is more similar than `threshold`.
 * @param keypoints D x K x 4: x, y, logit, probability
 * @param boxes D x 4 xyxy, in whose area distances are measured; their last pixels belong to them
 * @returns indices of the kept, best mean logit first
 */
export function suppressSimilarPersons(keypoints: Float32Array, boxes: Float32Array, threshold: number): number[] {
  const persons = boxes.length / 4;
  const count = persons === 0 ? 0 : keypoints.length / persons / 4;
  const value = (person: number, point: number, column: number): number =>
    keypoints[(person * count + point) * 4 + column]!;
  const sigmas = oksSigmas(count);
  const points = Array.from({ length: count }, (_, point) => point);
  const means = Array.from({ length: persons }, (_, person) =>
    points.reduce((sum, point) => sum + value(person, point, 2) / count, 0),
  );
  const similarity = (person: number, other: number): number => {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = boxes.subarray(person * 4, person * 4 + 4);
    const area = (x2 - x1 + 1) * (y2 - y1 + 1);
    const sum = points.reduce((total, point) => {
      const sigma = 2 * sigmas[point]!;
      const dx = value(other, point, 0) - value(person, point, 0);
      const dy = value(other, point, 1) - value(person, point, 1);
      return total + Math.exp(-(dx * dx + dy * dy) / (sigma * sigma) / (area + Number.EPSILON) / 2);
    }, 0);
    return sum / count;
  };
  const kept: number[] = [];
  for (const person of Array.from(means.keys()).sort((a, b) => means[b]! - means[a]! || a - b)) {
    if (kept.every((better) => similarity(better, person) <= threshold)) kept.push(person);
  }
  return kept;
}
