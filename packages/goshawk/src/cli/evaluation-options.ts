// The options of commands that measure as COCO does. What their words mean is in evaluation-params.ts, which help does not load.
import type { Command } from 'commander';

export interface EvaluationOptions {
  readonly maxDetections?: readonly string[];
  readonly iouThresholds?: readonly string[];
  readonly areaRanges?: readonly string[];
  readonly sigmas?: readonly string[];
}

export function addEvaluationOptions(command: Command): Command {
  return command
    .option(
      '--max-detections <counts...>',
      'one to three numbers: most detections of a category that count in a picture (default: 1 10 100; keypoints: 20)',
    )
    .option('--iou-thresholds <list...>', 'thresholds, or FIRST:LAST:STEP; AP is their mean (default: 0.5:0.95:0.05)')
    .option(
      '--area-ranges <name=from:to...>',
      "objects by size in square pixels, besides all: small=0:32^2 medium=32^2:96^2 large=96^2: (default: COCO's, as here)",
    )
    .option(
      '--sigmas <numbers...>',
      "keypoints: one for each, or one for all (default: the file's, else COCO's for 17 keypoints, else their mean for each)",
    );
}
