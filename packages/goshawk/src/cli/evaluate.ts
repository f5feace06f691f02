// goshawk evaluate: a results file against annotations. Needs no model and no engine.
import {
  type CocoEvaluation,
  type CocoParams,
  cocoStat,
  type Dataset,
  defaultSigmas,
  evaluateCityscapes,
  evaluateCoco,
  evaluateVoc,
  formatCityscapesTable,
  formatCocoTable,
  formatVocTable,
  InputError,
  type IouType,
  otherAreaRules,
  type PackedDetections,
  parseCocoResultsChunks,
} from '@goshawk/core';
import { readAnnotations } from '../data/annotation-files.js';
import { readFileChunks } from '../files/read-chunks.js';
import { errorsAsJson, measureErrors } from '../report/error-figures.js';
import { formatTable } from '../terminal/text-table.js';
import { type AnnotationCommandOptions, annotationSource } from './annotation-options.js';
import { formatErrors } from './error-tables.js';
import type { EvaluationOptions } from './evaluation-options.js';
import { evaluationHints, evaluationParams, givenEvaluationOption } from './evaluation-params.js';

export interface EvaluateCommandOptions extends AnnotationCommandOptions, EvaluationOptions {
  readonly groundTruth: string;
  readonly detections: string;
  /** COCO's measures; voc and voc07 are PASCAL VOC's AP by area and by 11 points. */
  readonly type: IouType | 'voc' | 'voc07' | 'cityscapes';
  readonly perCategory?: boolean;
  /** Also where it errs: boxes and masks. */
  readonly errors?: boolean;
  readonly allowUnfinished?: boolean;
  readonly json?: boolean;
}

export function runEvaluate(options: EvaluateCommandOptions): void {
  const { type } = options;
  if (options.sigmas !== undefined && type !== 'keypoints')
    throw new InputError('usage', `--sigmas: belongs to keypoints, not to --type ${type}: leave it out`);
  if (options.errors && type !== 'bbox' && type !== 'segm')
    throw new InputError('usage', `--errors: belongs to bbox and segm, not to --type ${type}: leave it out`);
  const params = isCocoType(type) ? evaluationParams(options, { iouType: type }) : refuseLimits(type, options);
  const { dataset } = readAnnotations(annotationSource(options.groundTruth, options), {
    purpose: 'evaluation',
    forMasks: type === 'segm' || type === 'cityscapes',
    requireFiles: type === 'cityscapes',
  });
  const { detections, warnings } = parseCocoResultsChunks(readFileChunks(options.detections), {
    fileName: options.detections,
    dataset,
    allowUnfinished: options.allowUnfinished === true,
    remedyWhenCut: ', or measure what is whole of it with --allow-unfinished',
  });
  for (const { message } of warnings) console.error(`warning: ${message}`);
  if (options.allowUnfinished && warnings.some(({ code }) => code === 'json-unfinished'))
    console.error(`warning: ${options.detections}: ${detections.length} detections were read`);
  switch (type) {
    case 'voc':
    case 'voc07':
      printVoc(dataset, detections, type, options);
      return;
    case 'cityscapes': {
      const result = evaluateCityscapes({ groundTruth: dataset, detections: [...detections] });
      const { ap, ap50, perClass } = result;
      const categories = options.perCategory ? { categories: perClass } : {};
      print(options, { type, stats: { AP: ap, AP50: ap50 }, ...categories }, formatCityscapesTable(result));
      return;
    }
    default:
      printCoco(dataset, detections, { type, params, options });
  }
}

function printVoc(
  groundTruth: Dataset,
  detections: PackedDetections,
  type: 'voc' | 'voc07',
  options: EvaluateCommandOptions,
): void {
  const result = evaluateVoc({
    groundTruth,
    detections: [...detections],
    metric: type === 'voc' ? 'area' : '11-point',
  });
  const categories = options.perCategory
    ? { categories: result.perClass.map(({ id, name, ap, objects }) => ({ id, name, AP: ap, groundTruths: objects })) }
    : {};
  print(options, { type, stats: { mAP: result.map }, ...categories }, formatVocTable([result]));
}

function printCoco(
  groundTruth: Dataset,
  detections: PackedDetections,
  { type: iouType, params, options }: { type: IouType; params: Partial<CocoParams>; options: EvaluateCommandOptions },
): void {
  // How many keypoints there are, the data says.
  const keypointCount = iouType === 'keypoints' ? defaultSigmas(groundTruth).length : undefined;
  const sigmas = options.sigmas && keypointCount ? evaluationParams(options, { iouType, keypointCount }) : {};
  const evaluation = evaluateCoco({ groundTruth, detections, iouType, params: { ...params, ...sigmas } });
  const { stats, perCategory } = evaluation;
  for (const hint of evaluationHints(evaluation, options)) console.error(`hint: ${hint}`);
  const figure = (value: number): string => (value < 0 ? '-' : value.toFixed(3));
  const rows = perCategory.map((one) => [one.name, one.groundTruths, figure(one.AP), figure(one.AP50), figure(one.AR)]);
  const table = options.perCategory ? `\n\n${formatTable([['category', 'objects', 'AP', 'AP50', 'AR'], ...rows])}` : '';
  const categories = options.perCategory ? { categories: perCategory } : {};
  const limits = givenEvaluationOption(options) === undefined ? {} : { limits: limitsOf(evaluation) };
  const errors =
    options.errors && iouType !== 'keypoints' ? measureErrors(groundTruth, detections, iouType) : undefined;
  const errorTables = errors ? `\n\n${formatErrors(errors)}` : '';
  print(
    options,
    { type: iouType, stats, ...limits, ...categories, ...(errors ? { errors: errorsAsJson(errors) } : {}) },
    formatCocoTable(evaluation) + table + errorTables,
  );
}

/** What was measured with other than COCO's limits. */
function limitsOf(evaluation: CocoEvaluation): object {
  const { iouType, params } = evaluation;
  const { maxDetections, iouThresholds, areaRanges, oksSigmas } = params;
  const [areas, rules] = [areaRanges.map(({ name }) => name), otherAreaRules(params)];
  const value = (area: string, of: 'precision' | 'recall'): number =>
    cocoStat(evaluation, params, rules.find((rule) => rule.area === area && rule.of === of)!);
  const others = areas.filter((area) => rules.some((rule) => rule.area === area));
  return {
    maxDetections,
    iouThresholds,
    areaRanges,
    ...(iouType === 'keypoints' ? { sigmas: oksSigmas } : {}),
    areas: others.map((area) => ({ name: area, AP: value(area, 'precision'), AR: value(area, 'recall') })),
  };
}

function isCocoType(type: EvaluateCommandOptions['type']): type is IouType {
  return type === 'bbox' || type === 'segm' || type === 'keypoints';
}

/** @throws InputError where an option of COCO's measures is given */
function refuseLimits(type: string, options: EvaluationOptions): Partial<CocoParams> {
  const given = givenEvaluationOption(options);
  if (given === undefined) return {};
  throw new InputError('usage', `${given}: belongs to bbox, segm and keypoints, not to --type ${type}: leave it out`);
}

function print(options: EvaluateCommandOptions, values: object, table: string): void {
  console.log(options.json ? JSON.stringify(values) : table);
}
