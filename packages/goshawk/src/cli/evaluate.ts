// goshawk evaluate: a results file against annotations. Needs no model and no engine.
import { evaluateCoco, formatCocoTable, type IouType, parseCoco, parseCocoResults } from '@goshawk/core';
import { readJsonFile } from './read-annotations.js';
import { formatTable } from './text-table.js';

export interface EvaluateCommandOptions {
  readonly groundTruth: string;
  readonly detections: string;
  readonly type: IouType;
  readonly perCategory?: boolean;
  readonly json?: boolean;
}

export function runEvaluate(options: EvaluateCommandOptions): void {
  const truth = parseCoco(readJsonFile(options.groundTruth), {
    fileName: options.groundTruth,
    purpose: 'evaluation',
    forMasks: options.type === 'segm',
  });
  const results = parseCocoResults(readJsonFile(options.detections), {
    fileName: options.detections,
    dataset: truth.dataset,
  });
  for (const { message } of results.warnings) console.error(`warning: ${message}`);
  const evaluation = evaluateCoco({
    groundTruth: truth.dataset,
    detections: results.detections,
    iouType: options.type,
  });
  const { stats, perCategory } = evaluation;
  if (options.json) {
    const categories = options.perCategory ? { categories: perCategory } : {};
    console.log(JSON.stringify({ type: options.type, stats, ...categories }));
    return;
  }
  console.log(formatCocoTable(evaluation));
  if (!options.perCategory) return;
  const figure = (value: number): string => (value < 0 ? '-' : value.toFixed(3));
  const rows = perCategory.map((one) => [one.name, one.groundTruths, figure(one.AP), figure(one.AP50), figure(one.AR)]);
  console.log(`\n${formatTable([['category', 'objects', 'AP', 'AP50', 'AR'], ...rows])}`);
}
