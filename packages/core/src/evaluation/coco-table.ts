// The standard COCO table as text.
import { cocoStatRules } from './coco-stats.js';
import type { CocoEvaluation } from './evaluate-coco.js';

/** One line a number, character for character as pycocotools' summarize prints them; no line end after the last. */
export function formatCocoTable(evaluation: CocoEvaluation): string {
  const { iouType, params, stats } = evaluation;
  const thresholds = params.iouThresholds;
  const everyIou = `${thresholds[0]!.toFixed(2)}:${thresholds[thresholds.length - 1]!.toFixed(2)}`;
  return cocoStatRules(iouType, params)
    .map((rule) => {
      const title = rule.of === 'precision' ? 'Average Precision  (AP)' : 'Average Recall     (AR)';
      const iou = (rule.iouThreshold?.toFixed(2) ?? everyIou).padEnd(9);
      const limit = (rule.maxDetections < 0 ? '-' : String(rule.maxDetections)).padStart(3);
      const value = threeDecimals(stats[rule.name] ?? -1);
      return ` ${title} @[ IoU=${iou} | area=${rule.area.padStart(6)} | maxDets=${limit} ] = ${value}`;
    })
    .join('\n');
}

// Python rounds a tie to the even digit, toFixed away from zero. Only odd sixteenths are ties at three decimals.
function threeDecimals(value: number): string {
  const isTie = Math.abs((value * 16) % 2) === 1;
  return (isTie ? (2 * Math.round(value * 500)) / 1000 : value).toFixed(3);
}
