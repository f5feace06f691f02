// Where a detector errs, for a person to read: TIDE, the confusion matrix, the best thresholds.
import {
  type BestThreshold,
  type ConfusionMatrix,
  type ScoreCurves,
  type TideAnalysis,
  tideErrors,
} from '@goshawk/core';
import type { ErrorFigures } from '../report/error-figures.js';
import { formatTable } from '../terminal/text-table.js';

export function formatErrors(figures: ErrorFigures): string {
  return [formatTide(figures.tide), formatConfusion(figures.confusion), formatThresholds(figures.curves)].join('\n\n');
}

function formatTide({ ap, foreground, losses, progressiveLosses, counts, ...rest }: TideAnalysis): string {
  const points = (value: number) => value.toFixed(2);
  const rows = tideErrors.map((type) => [type, counts[type], points(losses[type]), points(progressiveLosses[type])]);
  return [
    `What errors cost of AP at IoU ${foreground}, which is ${points(ap)} of 100 (TIDE)`,
    formatTable([['error', 'number', 'if mended alone', 'if mended in turn'], ...rows]),
    `all false positives ${points(rest.falsePositiveLoss)}, all objects not found ${points(rest.falseNegativeLoss)}`,
  ].join('\n');
}

// A matrix of many categories is wider than a terminal: of those the pairs that were confused, most frequent first.
const WIDEST_MATRIX = 12;
const LONGEST_LIST = 30;

function formatConfusion({ categories, counts, scoreThreshold, iouThreshold }: ConfusionMatrix): string {
  const names = [...categories.map(({ name }) => name), '(background)'];
  const title = `What was taken for what, from score ${scoreThreshold} and IoU ${iouThreshold}`;
  if (categories.length <= WIDEST_MATRIX) {
    const rows = counts.map((row, truth) => [names[truth]!, ...row]);
    return `${title}; a row is what it is, a column what was found\n${formatTable([['', ...names], ...rows])}`;
  }
  const pairs = counts
    .flatMap((row, truth) => row.map((count, found) => ({ truth, found, count })))
    .filter(({ truth, found, count }) => truth !== found && count > 0)
    .sort((a, b) => b.count - a.count);
  const rows = pairs
    .slice(0, LONGEST_LIST)
    .map(({ truth, found, count }) => [names[truth]!, names[found]!, count] as const);
  const more = pairs.length > LONGEST_LIST ? `\nand ${pairs.length - LONGEST_LIST} pairs more` : '';
  return `${title}\n${formatTable([['is', 'found as', 'number'], ...rows])}${more}`;
}

function formatThresholds({ iouThreshold, overall, perCategory }: ScoreCurves): string {
  const figures = (best: BestThreshold | undefined) =>
    best === undefined
      ? ['-', '-', '-', '-']
      : [best.score, best.precision, best.recall, best.f1].map((value) => value.toFixed(3));
  const rows = perCategory.map(({ category, curve }) => [category.name, ...figures(curve.best)]);
  const head = ['category', 'score', 'precision', 'recall', 'F1'];
  return [
    `The score from which F1 is highest, at IoU ${iouThreshold}`,
    formatTable([head, ['(all together)', ...figures(overall.best)], ...rows]),
  ].join('\n');
}
