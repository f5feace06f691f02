// "did you mean ...?" for keys: typing errors, other spellings (snake_case) and long forms of short names.

/**
 * What `key` was probably meant to be; undefined where nothing is near.
 * @param known the keys that may stand in its place
 * @param elsewhere whole paths of the keys of other groups
 */
export function suggestKey(
  key: string,
  known: readonly string[],
  elsewhere: readonly string[] = [],
): string | undefined {
  const wanted = plain(key);
  let best: { key: string; distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(wanted, plain(candidate));
    if (distance <= Math.max(1, wanted.length / 3) && (best === undefined || distance < best.distance)) {
      best = { key: candidate, distance };
    }
  }
  if (best !== undefined) return best.key;
  const moved = elsewhere.filter((path) => plain(path.slice(path.lastIndexOf('.') + 1)) === wanted);
  if (moved.length === 1) return moved[0];
  // iter -> iterations, learningRate -> lr: a beginning, or a short name for the same words.
  const shortened = known.filter((candidate) => {
    const other = plain(candidate);
    return other.startsWith(wanted) || (other[0] === wanted[0] && isSubsequence(other, wanted));
  });
  return shortened.length === 1 ? shortened[0] : undefined;
}

function plain(key: string): string {
  return key.toLowerCase().replace(/[^a-z0-9]/g, '');
}

function isSubsequence(short: string, long: string): boolean {
  let next = 0;
  for (const letter of long) if (letter === short[next]) next += 1;
  return next === short.length;
}

/** The fewest letters to insert, drop, change or swap with their neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = isSwap ? rows[i - 2]![j - 2]! + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min(change, swap, rows[i - 1]![j]! + 1, row[j - 1]! + 1));
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
