// Weights of any system under our names, told apart by the names in the file.
import type { PickleValue } from '@goshawk/torch';
import type { RenamedState, SavedTraining, StateDialect } from './dialect.js';
import { stateDialects } from './dialects.js';

export interface RecognisedState<T> extends RenamedState<T> {
  /** The system whose names the file has. */
  readonly dialect: string;
}

/** Keys under which files with such names hold better weights than under the usual ones. */
export function preferredKeys(names: Iterable<string>): readonly string[] {
  const all = new Set(names);
  return stateDialects.find((candidate) => candidate.recognises(all))?.prefer ?? [];
}

/** The tensors under our names; those that no rule knows keep theirs. */
export function recogniseState<T>(state: ReadonlyMap<string, T>): RecognisedState<T> {
  const dialect = dialectOf(state);
  return { dialect: dialect.name, ...dialect.rename(state) };
}

/** What lies beside the weights to go on with their training, where the program that wrote it is known. */
export function recogniseTraining(
  state: ReadonlyMap<string, unknown>,
  rest: ReadonlyMap<string, PickleValue>,
): SavedTraining | undefined {
  return dialectOf(state).training?.(rest);
}

function dialectOf(state: ReadonlyMap<string, unknown>): StateDialect {
  const names = new Set(state.keys());
  const dialect = stateDialects.find((candidate) => candidate.recognises(names));
  if (dialect === undefined) throw new Error('internal: the last dialect takes every state');
  return dialect;
}
