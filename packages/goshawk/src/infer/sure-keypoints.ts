// Keypoints that a model is not sure of, left out of drawings.
import type { Detection } from '@goshawk/core';

/** Hides the keypoints whose logit is below the threshold. */
export function withSureKeypoints(detection: Detection, threshold: number): Detection {
  const { keypoints, keypointLogits } = detection;
  if (!keypoints || !keypointLogits) return detection;
  const isSure = (value: number) => keypointLogits[Math.floor(value / 3)]! >= threshold;
  return { ...detection, keypoints: keypoints.map((value, i) => (i % 3 === 2 && !isSure(i) ? 0 : value)) };
}
