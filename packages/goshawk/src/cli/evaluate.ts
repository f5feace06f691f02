// goshawk evaluate: a results file against annotations. Needs no model and no engine.
import {
  type Dataset,
  type Detection,
  evaluateCityscapes,
  evaluateCoco,
  evaluateVoc,
  formatCityscapesTable,
  formatCocoTable,
  formatVocTable,
  type IouType,
  parseCocoResults,
} from '@goshawk/core';
import { readAnnotations } from '../data/annotation-files.js';
import { formatTable } from '../terminal/text-table.js';
import { type AnnotationCommandOptions, annotationSource } from './annotation-options.js';
import { readJsonFile } from './read-annotations.js';

export interface EvaluateCommandOptions extends AnnotationCommandOptions {
  readonly groundTruth: string;
  readonly detections: string;
  /** COCO's measures; voc and voc07 are PASCAL VOC's AP by area and by 11 points. */
  readonly type: IouType | 'voc' | 'voc07' | 'cityscapes';
  readonly perCategory?: boolean;
  readonly json?: boolean;
}

export function runEvaluate(options: EvaluateCommandOptions): void {
  const { type } = options;
  const { dataset } = readAnnotations(annotationSource(options.groundTruth, options), {
    purpose: 'evaluation',
    forMasks: type === 'segm' || type === 'cityscapes',
    requireFiles: type === 'cityscapes',
  });
  const { detections, warnings } = parseCocoResults(readJsonFile(options.detections), {
    fileName: options.detections,
    dataset,
  });
  for (const { message } of warnings) console.error(`warning: ${message}`);
  switch (type) {
    case 'voc':
    case 'voc07':
      printVoc(dataset, detections, type, options);
      return;
    case 'cityscapes': {
      const result = evaluateCityscapes({ groundTruth: dataset, detections });
      const { ap, ap50, perClass } = result;
      const categories = options.perCategory ? { categories: perClass } : {};
      print(options, { type, stats: { AP: ap, AP50: ap50 }, ...categories }, formatCityscapesTable(result));
      return;
    }
    default:
      printCoco(dataset, detections, type, options);
  }
}

function printVoc(
  groundTruth: Dataset,
  detections: readonly Detection[],
  type: 'voc' | 'voc07',
  options: EvaluateCommandOptions,
): void {
  const result = evaluateVoc({ groundTruth, detections, metric: type === 'voc' ? 'area' : '11-point' });
  const categories = options.perCategory
    ? { categories: result.perClass.map(({ id, name, ap, objects }) => ({ id, name, AP: ap, groundTruths: objects })) }
    : {};
  print(options, { type, stats: { mAP: result.map }, ...categories }, formatVocTable([result]));
}

function printCoco(
  groundTruth: Dataset,
  detections: readonly Detection[],
  iouType: IouType,
  options: EvaluateCommandOptions,
): void {
  const evaluation = evaluateCoco({ groundTruth, detections, iouType });
  const { stats, perCategory } = evaluation;
  const figure = (value: number): string => (value < 0 ? '-' : value.toFixed(3));
  const rows = perCategory.map((one) => [one.name, one.groundTruths, figure(one.AP), figure(one.AP50), figure(one.AR)]);
  const table = options.perCategory ? `\n\n${formatTable([['category', 'objects', 'AP', 'AP50', 'AR'], ...rows])}` : '';
  const categories = options.perCategory ? { categories: perCategory } : {};
  print(options, { type: iouType, stats, ...categories }, formatCocoTable(evaluation) + table);
}

function print(options: EvaluateCommandOptions, values: object, table: string): void {
  console.log(options.json ? JSON.stringify(values) : table);
}
