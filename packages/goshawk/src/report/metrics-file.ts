// metrics.json: the figures of an evaluation, its classes and its errors.
import type { DetectorMeasures } from '../infer/evaluate-detector.js';
import { type ErrorFigures, errorsAsJson } from './error-figures.js';

/** The groups of figures, `categories` by group, and `errors` as `goshawk evaluate --errors --json` has them. */
export function metricsOf({ figures, evaluations }: DetectorMeasures, errors: ErrorFigures | undefined): object {
  return {
    ...figures,
    ...(evaluations.size > 0 && {
      categories: Object.fromEntries([...evaluations].map(([type, { perCategory }]) => [type, perCategory])),
    }),
    ...(errors && { errors: errorsAsJson(errors) }),
  };
}
