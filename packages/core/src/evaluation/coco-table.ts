// The standard COCO table as text.
import { cocoStat, cocoStatRules, hasRule, otherAreaRules } from './coco-stats.js';
import type { CocoEvaluation } from './evaluate-coco.js';

/**
 * One line a number, character for character as pycocotools' summarize prints them; no line end after the last. Numbers that the
 * parameters do not have (AP at a threshold that was not measured, recall with a limit that was not given) are left out, and
 * area ranges of other names follow.
 */
export function formatCocoTable(evaluation: CocoEvaluation): string {
  const { iouType, params, stats } = evaluation;
  const thresholds = params.iouThresholds;
  const everyIou = `${thresholds[0]!.toFixed(2)}:${thresholds[thresholds.length - 1]!.toFixed(2)}`;
  const usual = cocoStatRules(iouType, params).map((rule) => ({ rule, value: stats[rule.name] ?? -1 }));
  const others = otherAreaRules(params).map((rule) => ({ rule, value: cocoStat(evaluation, params, rule) }));
  return [...usual, ...others]
    .filter(({ rule }) => hasRule(params, rule))
    .map(({ rule, value }) => {
      const title = rule.of === 'precision' ? 'Average Precision  (AP)' : 'Average Recall     (AR)';
      const iou = (rule.iouThreshold?.toFixed(2) ?? everyIou).padEnd(9);
      const limit = String(rule.maxDetections).padStart(3);
      return ` ${title} @[ IoU=${iou} | area=${rule.area.padStart(6)} | maxDets=${limit} ] = ${threeDecimals(value)}`;
    })
    .join('\n');
}

// Python rounds a tie to the even digit, toFixed away from zero. Only odd sixteenths are ties at three decimals.
function threeDecimals(value: number): string {
  const isTie = Math.abs((value * 16) % 2) === 1;
  return (isTie ? (2 * Math.round(value * 500)) / 1000 : value).toFixed(3);
}
