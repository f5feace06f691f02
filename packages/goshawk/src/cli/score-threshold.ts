// From which score predict keeps detections: a number, or what an evaluation found to be best.
import { type Category, type Detection, InputError } from '@goshawk/core';
import { z } from 'zod';
import { readSmallText } from '../files/read-small-text.js';
import { type BestThresholds, thresholdsSchema } from '../infer/best-thresholds.js';
import { readDescription } from '../infer/detector-file.js';

export interface ScoreThreshold {
  /** Of all categories together. */
  readonly overall: number;
  /** Of one category, by its id. */
  of(categoryId: number): number;
  keeps(detection: Pick<Detection, 'score' | 'categoryId'>): boolean;
}

/** Which one is meant; read once the categories are known. */
export type ScoreThresholdRule = (categories: readonly Category[]) => ScoreThreshold;

const DEFAULT = 0.5;

/**
 * @param text a number, `best` for what the weights remember of their evaluation, or a metrics.json of `train` or `eval`
 * @throws InputError where it is none of them
 */
export function scoreThresholdRule(text: string | undefined, weights: string): ScoreThresholdRule {
  if (text === 'best') return bestOf(rememberedBy(weights));
  if (text?.endsWith('.json')) return bestOf(bestIn(text));
  const value = text === undefined ? DEFAULT : Number(text);
  if (text?.trim() === '' || !(value >= 0 && value <= 1))
    throw new InputError(
      'usage',
      `--score-threshold ${text}: expected 0 to 1, best, or a metrics.json: for example --score-threshold 0.5`,
    );
  return () => ({ overall: value, of: () => value, keeps: ({ score }) => score >= value });
}

/** A category of which nothing was found goes by all together. */
function bestOf({ overall, perCategory }: BestThresholds): ScoreThresholdRule {
  const together = overall?.score ?? DEFAULT;
  const byName = new Map(perCategory.map(({ name, score }) => [name, score]));
  return (categories) => {
    const byId = new Map(categories.map(({ id, name }) => [id, byName.get(name) ?? together]));
    const of = (categoryId: number): number => byId.get(categoryId) ?? together;
    return { overall: together, of, keeps: ({ score, categoryId }) => score >= of(categoryId) };
  };
}

function rememberedBy(weights: string): BestThresholds {
  const thresholds = readDescription(weights)?.thresholds;
  if (thresholds !== undefined) return thresholds;
  throw new InputError(
    'usage',
    `--score-threshold best: ${weights} remembers no evaluation (best.safetensors of a training with data.val does): measure it by goshawk eval --output measured, and give --score-threshold measured/metrics.json`,
  );
}

const metricsSchema = z.looseObject({ errors: z.looseObject({ thresholds: thresholdsSchema }) });

function bestIn(file: string): BestThresholds {
  let value: unknown;
  try {
    value = JSON.parse(readSmallText(file));
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError('json-invalid', `${file}: is not JSON: name the metrics.json of goshawk eval or train`);
  }
  const metrics = metricsSchema.safeParse(value);
  if (metrics.success) return metrics.data.errors.thresholds;
  throw new InputError(
    'json-invalid',
    `${file}: has no errors.thresholds (expected the metrics.json of goshawk eval or train of one data set): measure the model again`,
  );
}
