// Rows that stand where there are none: an empty batch is more than some of the engine's layers take.

let areFillers = false;

/**
 * Runs `body` on rows that stand for none, and of whose output nothing is used. Batch norms in training take none of their values into
 * statistics; over several processes they go by what the others have.
 */
export function onFillerRows<Result>(body: () => Result): Result {
  const before = areFillers;
  areFillers = true;
  try {
    return body();
  } finally {
    areFillers = before;
  }
}

/** Whether all rows of the input of a layer are such. */
export function areFillerRows(): boolean {
  return areFillers;
}
