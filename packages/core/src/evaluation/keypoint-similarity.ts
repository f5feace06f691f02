// Object keypoint similarity (OKS), as in pycocotools 2.0.11 (cocoeval.py, computeOks).
import { type BoxXywh, boxXywh } from '../boxes/box.js';
import { InputError } from '../errors/input-error.js';
import type { Annotation, Detection } from '../formats/dataset.js';

/**
 * Mean over the labelled keypoints of exp(-distance**2 / (2 area (2 sigma)**2)), 0 to 1. Where the annotation has no labelled
 * keypoint, distances are to its box grown to three times its size, over all keypoints.
 * @throws InputError where annotation or detection has another number of keypoints than `sigmas`.
 */
export function keypointSimilarity(detection: Detection, truth: Annotation, sigmas: readonly number[]): number {
  const found = detection.keypoints ?? [];
  const labelled = truth.keypoints ?? [];
  requireCount(found, sigmas, 'a detection');
  if (truth.keypoints) requireCount(labelled, sigmas, `annotation ${truth.id}`);
  let visible = 0;
  for (let k = 2; k < labelled.length; k += 3) if (labelled[k]! > 0) visible++;
  const [x, y, width, height] = truth.bbox;
  const scale = 2 * (truth.area + Number.EPSILON);
  let sum = 0;
  for (let k = 0; k < sigmas.length; k++) {
    const foundX = found[3 * k]!;
    const foundY = found[3 * k + 1]!;
    let dx: number;
    let dy: number;
    if (visible > 0) {
      if (!(labelled[3 * k + 2]! > 0)) continue;
      dx = foundX - labelled[3 * k]!;
      dy = foundY - labelled[3 * k + 1]!;
    } else {
      dx = Math.max(0, x - width - foundX) + Math.max(0, foundX - (x + 2 * width));
      dy = Math.max(0, y - height - foundY) + Math.max(0, foundY - (y + 2 * height));
    }
    const variance = (2 * sigmas[k]!) ** 2;
    sum += Math.exp(-(dx * dx + dy * dy) / variance / scale);
  }
  return sum / (visible > 0 ? visible : sigmas.length);
}

/** Whether an annotation has a keypoint to be found: by its own count, else by its visibility flags. */
export function hasKeypoints(truth: Annotation): boolean {
  if (truth.numKeypoints !== undefined) return truth.numKeypoints > 0;
  return (truth.keypoints ?? []).some((value, i) => i % 3 === 2 && value > 0);
}

/** The box around all keypoints `[x, y, v, ...]`, whatever their v. */
export function keypointBox(keypoints: readonly number[]): BoxXywh {
  let left = Number.POSITIVE_INFINITY;
  let top = Number.POSITIVE_INFINITY;
  let right = Number.NEGATIVE_INFINITY;
  let bottom = Number.NEGATIVE_INFINITY;
  for (let k = 0; k + 1 < keypoints.length; k += 3) {
    left = Math.min(left, keypoints[k]!);
    right = Math.max(right, keypoints[k]!);
    top = Math.min(top, keypoints[k + 1]!);
    bottom = Math.max(bottom, keypoints[k + 1]!);
  }
  return right < left ? boxXywh(0, 0, 0, 0) : boxXywh(left, top, right - left, bottom - top);
}

/** Square pixels of {@link keypointBox}. */
export function keypointArea(keypoints: readonly number[]): number {
  const [, , width, height] = keypointBox(keypoints);
  return width * height;
}

function requireCount(keypoints: readonly number[], sigmas: readonly number[], where: string): void {
  if (keypoints.length === 3 * sigmas.length) return;
  throw new InputError(
    'annotation-invalid',
    `keypoints: ${where} has ${keypoints.length / 3} of them, but there are sigmas for ${sigmas.length}: give a sigma for each keypoint (--sigmas; oksSigmas in a program), and as many keypoints in the results as in the ground truth`,
  );
}
