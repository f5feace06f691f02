// The person keypoints of COCO, facts from the dataset's category record and the COCO API (cocoeval.py).

/** Keypoint names in file order, as in COCO's person category. */
export const cocoPersonKeypoints = [
  'nose',
  'left_eye',
  'right_eye',
  'left_ear',
  'right_ear',
  'left_shoulder',
  'right_shoulder',
  'left_elbow',
  'right_elbow',
  'left_wrist',
  'right_wrist',
  'left_hip',
  'right_hip',
  'left_knee',
  'right_knee',
  'left_ankle',
  'right_ankle',
] as const;

/** Pairs of 1-based keypoint numbers joined by a line, as in COCO's person category. */
export const cocoPersonSkeleton: readonly (readonly [number, number])[] = [
  [16, 14],
  [14, 12],
  [17, 15],
  [15, 13],
  [12, 13],
  [6, 12],
  [7, 13],
  [6, 7],
  [6, 8],
  [7, 9],
  [8, 10],
  [9, 11],
  [2, 3],
  [1, 2],
  [1, 3],
  [2, 4],
  [3, 5],
  [4, 6],
  [5, 7],
];

/** Per-keypoint standard deviations of the object keypoint similarity, relative to the object's scale (cocoeval.py). */
export const cocoPersonSigmas: readonly number[] = [
  0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
];

/**
 * Standard deviations for objects of `count` keypoints: COCO's for its person's 17; for others, of which nobody measured how
 * far annotators differ, the mean of COCO's for each.
 */
export function oksSigmas(count: number): readonly number[] {
  if (count === cocoPersonSigmas.length) return cocoPersonSigmas;
  const mean = cocoPersonSigmas.reduce((sum, sigma) => sum + sigma, 0) / cocoPersonSigmas.length;
  return new Array<number>(count).fill(mean);
}
