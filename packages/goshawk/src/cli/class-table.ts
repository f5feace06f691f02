// An evaluation by category, for a person to read.
import type { CocoEvaluation } from '@goshawk/core';
import type { ErrorFigures } from '../report/index.js';
import { formatTable } from '../terminal/text-table.js';

// A terminal holds so many; metrics.json and the report have all.
const MOST_ROWS = 100;

/** AP and AR as COCO measures them, and the score from which F1 is highest, with precision and recall from there on. */
export function formatClassTable({ perCategory, iouType }: CocoEvaluation, errors: ErrorFigures): string {
  const figure = (value: number | undefined): string => (value === undefined || value < 0 ? '-' : value.toFixed(3));
  const best = new Map(errors.curves.perCategory.map(({ category, curve }) => [category.id, curve.best]));
  const rows = perCategory.slice(0, MOST_ROWS).map(({ categoryId, name, groundTruths, AP, AP50, AR }) => {
    const { score, precision, recall, f1 } = best.get(categoryId) ?? {};
    return [name, groundTruths, ...[AP, AP50, AR, score, precision, recall, f1].map(figure)];
  });
  const { overall, iouThreshold } = errors.curves;
  const all = overall.best;
  const head = ['category', 'objects', 'AP', 'AP50', 'AR', 'best score', 'precision', 'recall', 'F1'];
  const together = [
    '(all together)',
    overall.objects,
    '',
    '',
    '',
    ...[all?.score, all?.precision, all?.recall, all?.f1].map(figure),
  ];
  const more = perCategory.length > MOST_ROWS ? `\nand ${perCategory.length - MOST_ROWS} categories more` : '';
  return `By category (${iouType}); best score: where F1 is highest at IoU ${iouThreshold}\n${formatTable([head, together, ...rows])}${more}`;
}
