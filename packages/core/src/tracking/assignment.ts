// The exact minimum-cost assignment of rows to columns, by shortest augmenting paths with potentials (Kuhn 1955 as improved by
// Edmonds and Karp 1972; O(rows^2 * columns)): small problems, such as the boxes of a frame and the tracks that they may belong to.

/**
 * Pairs rows with columns so that the sum of (cost - limit) over the pairs is least; no row and no column is in two pairs, and a pair
 * that costs `limit` or more is never made. Of two pairs at little gain and one at much, the larger sum counts.
 * @param costs `[rows, columns]`, row by row, finite numbers
 * @returns the column of each row, -1 for none
 */
export function assignWithin(costs: Float64Array, rows: number, columns: number, limit: number): Int32Array {
  if (costs.length !== rows * columns)
    throw new Error(`assignWithin: ${costs.length} costs for ${rows} rows and ${columns} columns`);
  // Being left alone costs nothing: what is not below the limit counts as that.
  const gains = costs.map((cost) => Math.min(cost - limit, 0));
  const isTall = rows > columns;
  const pairs = isTall ? transposedAssignment(gains, rows, columns) : minimumAssignment(gains, rows, columns);
  return pairs.map((column, row) => (column >= 0 && costs[row * columns + column]! < limit ? column : -1));
}

function transposedAssignment(costs: Float64Array, rows: number, columns: number): Int32Array {
  const turned = new Float64Array(costs.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) turned[column * rows + row] = costs[row * columns + column]!;
  const pairs = new Int32Array(rows).fill(-1);
  minimumAssignment(turned, columns, rows).forEach((row, column) => {
    pairs[row] = column;
  });
  return pairs;
}

/** Every row gets a column of its own; rows <= columns. */
function minimumAssignment(costs: Float64Array, rows: number, columns: number): Int32Array {
  const rowPotential = new Float64Array(rows);
  const columnPotential = new Float64Array(columns);
  const rowOf = new Int32Array(columns).fill(-1);
  const before = new Int32Array(columns);
  const distance = new Float64Array(columns);
  const isReached = new Uint8Array(columns);
  for (let start = 0; start < rows; start++) {
    // Dijkstra from the new row over reduced costs, until a free column is reached.
    distance.fill(Number.POSITIVE_INFINITY);
    isReached.fill(0);
    let row = start;
    let reached = -1;
    let length = 0;
    for (;;) {
      let nearest = -1;
      for (let column = 0; column < columns; column++) {
        if (isReached[column]) continue;
        const way = length + costs[row * columns + column]! - rowPotential[row]! - columnPotential[column]!;
        if (way < distance[column]!) {
          distance[column] = way;
          before[column] = reached;
        }
        if (nearest < 0 || distance[column]! < distance[nearest]!) nearest = column;
      }
      reached = nearest;
      length = distance[nearest]!;
      isReached[nearest] = 1;
      if (rowOf[nearest] === -1) break;
      row = rowOf[nearest]!;
    }
    for (let column = 0; column < columns; column++) {
      if (!isReached[column] || column === reached) continue;
      columnPotential[column]! += distance[column]! - length;
      rowPotential[rowOf[column]!]! += length - distance[column]!;
    }
    rowPotential[start]! += length;
    for (let column = reached; column >= 0; ) {
      const previous = before[column]!;
      rowOf[column] = previous < 0 ? start : rowOf[previous]!;
      column = previous;
    }
  }
  const columnOf = new Int32Array(rows).fill(-1);
  rowOf.forEach((row, column) => {
    if (row >= 0) columnOf[row] = column;
  });
  return columnOf;
}
