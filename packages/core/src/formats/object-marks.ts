// What annotators noted about an object beside its place: VOC's pose, truncated and occluded, CVAT's attributes of these names.
import type { ObjectMarks } from './dataset.js';

/** As a file has them: texts, numbers or booleans; undefined where nothing is noted. */
export function objectMarks(noted: {
  readonly pose?: unknown;
  readonly truncated?: unknown;
  readonly occluded?: unknown;
}): ObjectMarks | undefined {
  const { pose } = noted;
  // VOC's word for a pose that nobody noted.
  const hasPose = typeof pose === 'string' && pose !== '' && pose.toLowerCase() !== 'unspecified';
  const [isTruncated, isOccluded] = [isSet(noted.truncated), isSet(noted.occluded)];
  if (!hasPose && !isTruncated && !isOccluded) return undefined;
  return {
    ...(hasPose && { pose }),
    ...(isTruncated && { isTruncated }),
    ...(isOccluded && { isOccluded }),
  };
}

function isSet(value: unknown): boolean {
  return value === true || value === 1 || (typeof value === 'string' && /^(true|1)$/i.test(value));
}
