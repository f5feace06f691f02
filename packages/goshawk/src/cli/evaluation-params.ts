// What the options of an evaluation mean, as parameters of core's evaluateCoco, and what to say about the limits that cut.
import {
  type AreaRange,
  type CocoEvaluation,
  type CocoParams,
  cocoAreaRanges,
  evenlySpaced,
  InputError,
  type IouType,
} from '@goshawk/core';
import type { EvaluationOptions } from './evaluation-options.js';
import { wholeNumber } from './parse-option.js';

type OptionName = '--max-detections' | '--iou-thresholds' | '--area-ranges' | '--sigmas';

const namesOf: Readonly<Record<keyof EvaluationOptions, OptionName>> = {
  maxDetections: '--max-detections',
  iouThresholds: '--iou-thresholds',
  areaRanges: '--area-ranges',
  sigmas: '--sigmas',
};

/** The first option that was given; undefined where none was. */
export function givenEvaluationOption(options: EvaluationOptions): OptionName | undefined {
  const key = (Object.keys(namesOf) as (keyof EvaluationOptions)[]).find((name) => options[name] !== undefined);
  return key && namesOf[key];
}

/**
 * The parameters that the options give; the others keep their defaults.
 * @param keypointCount of the ground truth, where keypoints are compared
 * @throws InputError (usage) naming the option
 */
export function evaluationParams(
  options: EvaluationOptions,
  { iouType, keypointCount }: { readonly iouType: IouType; readonly keypointCount?: number },
): Partial<CocoParams> {
  const { maxDetections, iouThresholds, areaRanges, sigmas } = options;
  return {
    ...(maxDetections && limitParams(wordsOf(maxDetections))),
    ...(iouThresholds && { iouThresholds: readThresholds(wordsOf(iouThresholds)) }),
    ...(areaRanges && { areaRanges: readAreaRanges(wordsOf(areaRanges)) }),
    ...(sigmas && iouType === 'keypoints' && { oksSigmas: readSigmas(wordsOf(sigmas), keypointCount) }),
  };
}

/**
 * Lines for the person: where the limit of detections cut, and what the sigmas of keypoints are that nobody gave.
 * @param evaluation that was made with the options' parameters
 */
export function evaluationHints({ cut, params, iouType }: CocoEvaluation, options: EvaluationOptions): string[] {
  const hints: string[] = [];
  const limit = params.maxDetections.at(-1)!;
  if (cut.detections > 0) {
    const limits = [...params.maxDetections.slice(0, -1), cut.most].join(' ');
    const pictures = `${cut.pictures} ${cut.pictures === 1 ? 'picture' : 'pictures'}`;
    const objects = cut.objects > limit ? `, where up to ${cut.objects} objects of a category are in a picture` : '';
    hints.push(
      `${iouType}: the limit of ${limit} detections of a category a picture left out ${cut.detections} in ${pictures}${objects}: --max-detections ${limits} counts all`,
    );
  }
  const { oksSigmas } = params;
  if (iouType === 'keypoints' && options.sigmas === undefined && new Set(oksSigmas).size === 1)
    hints.push(
      `keypoints: sigma ${Number(oksSigmas[0]!.toFixed(4))} for each of the ${oksSigmas.length}, the mean of COCO's: --sigmas gives others`,
    );
  return hints;
}

/** Words that were given apart or with commas. */
function wordsOf(given: readonly string[]): string[] {
  return given.flatMap((text) => text.split(/[\s,]+/)).filter((word) => word !== '');
}

function limitParams(words: readonly string[]): Pick<CocoParams, 'maxDetections' | 'statsMaxDetections'> {
  const maxDetections = words.map((word) => wholeNumber('--max-detections', word, 1, 1e6));
  if (words.length < 1 || words.length > 3 || maxDetections.some((count, i) => i > 0 && count <= maxDetections[i - 1]!))
    throw usage('--max-detections', words, 'one to three rising numbers', '1 10 300');
  return { maxDetections, statsMaxDetections: maxDetections.at(-1)! };
}

function readThresholds(words: readonly string[]): number[] {
  const thresholds = words.flatMap((word) => {
    const numbers = word.split(':').map(decimal);
    const [first, last, step] = numbers as [number, number, number];
    if (numbers.length === 1) return numbers;
    const count = Math.round((last - first) / step) + 1;
    const isSpan = numbers.length === 3 && step > 0 && last > first && count <= 1000;
    if (!isSpan || Math.abs(first + (count - 1) * step - last) > step / 1000) return [Number.NaN];
    return evenlySpaced(first, last, count);
  });
  const isGood = thresholds.every((value, i) => value > 0 && value <= 1 && (i === 0 || value > thresholds[i - 1]!));
  if (isGood && thresholds.length >= 1 && thresholds.length <= 32) return thresholds;
  throw usage('--iou-thresholds', words, '1 to 32 rising numbers above 0 up to 1, or FIRST:LAST:STEP', '0.5:0.95:0.05');
}

function readAreaRanges(words: readonly string[]): AreaRange[] {
  const expected = 'NAME=FROM:TO in square pixels, 32^2 for 32 x 32';
  const ranges = words.map((word): AreaRange => {
    const [, name, from, to] = /^([^=:]+)=([^=:]*):([^=:]*)$/.exec(word) ?? [];
    const all = cocoAreaRanges[0]!;
    const min = from === '' ? all.min : squared(from ?? 'x');
    const max = to === '' ? all.max : squared(to ?? 'x');
    if (name === undefined || !(min >= 0 && min < max))
      throw usage('--area-ranges', [word], expected, 'small=0:32^2 large=32^2:');
    return { name, min, max };
  });
  const named = ranges.map(({ name }) => name);
  const twice = named.find((name, i) => named.indexOf(name) !== i);
  if (twice !== undefined || ranges.length === 0)
    throw usage('--area-ranges', words, 'each name once', 'small=0:32^2 large=32^2:');
  return named.includes('all')
    ? ranges.sort((a, b) => Number(b.name === 'all') - Number(a.name === 'all'))
    : [cocoAreaRanges[0]!, ...ranges];
}

function readSigmas(words: readonly string[], keypointCount: number | undefined): readonly number[] {
  const sigmas = words.map(decimal);
  const example = '0.05 0.05 0.1 0.1';
  if (sigmas.length === 0 || !sigmas.every((sigma) => sigma > 0 && sigma < 100))
    throw usage('--sigmas', words, 'numbers above 0', example);
  if (keypointCount === undefined || sigmas.length === keypointCount) return sigmas;
  if (sigmas.length === 1) return new Array<number>(keypointCount).fill(sigmas[0]!);
  throw usage('--sigmas', words, `${keypointCount} numbers, one for each keypoint, or one for all`, example);
}

function decimal(word: string): number {
  return /^\d*\.?\d+(e-?\d+)?$/i.test(word) ? Number(word) : Number.NaN;
}

function squared(word: string): number {
  return word.endsWith('^2') ? decimal(word.slice(0, -2)) ** 2 : decimal(word);
}

function usage(option: OptionName, words: readonly string[], expected: string, example: string): InputError {
  const text = words.join(' ');
  const shown = text.length > 60 ? `${text.slice(0, 60)}...` : text;
  return new InputError('usage', `${option} ${shown}: expected ${expected}: write for example ${option} ${example}`);
}
