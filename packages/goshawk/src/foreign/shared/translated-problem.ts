// A config of another system whose translation our schema refuses: which of the file's own keys that comes from.
import { InputError } from '@goshawk/core';
import { validationProblem } from '../../config/index.js';

export interface TranslatedProblem<Candidate> {
  /** The file's key that decides; undefined where no single one does. */
  readonly candidate: Candidate | undefined;
  /** What is wrong, in our names: `model.neck.channels: got ...: expected ...`. */
  readonly message: string;
}

/**
 * Finds the key by trying: the one with another value of which the problem is gone.
 * @param value the translation
 * @param candidates keys of the file
 * @param without translations where a candidate has other values; an InputError stands for one that is no better
 * @returns undefined where the translation is valid
 */
export function translatedProblem<Candidate>(
  value: unknown,
  candidates: Iterable<Candidate>,
  without: (candidate: Candidate) => Iterable<() => unknown>,
): TranslatedProblem<Candidate> | undefined {
  const problem = validationProblem(value);
  if (problem === undefined) return undefined;
  let tries = 0;
  for (const candidate of candidates) {
    for (const translate of without(candidate)) {
      if (++tries > MOST_TRIES) return { candidate: undefined, message: problem.message };
      if (isGone(problem.places[0]!, translate)) return { candidate, message: problem.message };
    }
  }
  return { candidate: undefined, message: problem.message };
}

/** Counted, so that the message does not depend on how busy the machine is; some 5 ms each. */
const MOST_TRIES = 200;

function isGone(place: string, translate: () => unknown): boolean {
  try {
    return !(validationProblem(translate())?.places ?? []).includes(place);
  } catch (error) {
    if (error instanceof InputError) return false;
    throw error;
  }
}
