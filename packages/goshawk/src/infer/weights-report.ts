// What a person reads about weights that were loaded: what matched, what was left, what has another shape.
import type { WeightsReport } from './detector-file.js';

const LISTED = 4;

/** One line in all, then one for each kind of tensor that did not match, with the first names of it. */
export function formatWeightsReport(report: WeightsReport): string[] {
  const { path, dialect, loaded, missing, unexpected, mismatched, orphans, notes = [] } = report;
  const total = loaded.length + missing.length + mismatched.length;
  const shapes = mismatched.map(
    ({ name, got, expected }) => `${name} [${got.join(', ')}] for [${expected.join(', ')}]`,
  );
  return [
    `started from ${path} (names of ${dialect}): ${loaded.length} of the model's ${total} tensors`,
    ...listed('of another shape, left as they were', shapes),
    ...listed('not in the file, left as they were', groups(missing)),
    ...listed('in the file alone', groups(unexpected)),
    ...listed('of no model', orphans),
    ...notes.map((note) => `  ${note}`),
  ];
}

function listed(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > LISTED ? `, and ${names.length - LISTED} more` : '';
  return [`  ${what}: ${names.slice(0, LISTED).join(', ')}${more}`];
}

/** Weight and bias of a layer are one thing to a reader. */
function groups(names: readonly string[]): string[] {
  return [
    ...new Set(
      names.map((name) => name.replace(/(\.(weight|bias|running_mean|running_var|num_batches_tracked)|_[wb])$/, '')),
    ),
  ];
}
