// Columns of text for a terminal.

/** Rows with their columns aligned, two spaces apart: text to the left, numbers to the right. The first row is the head. */
export function formatTable(rows: readonly (readonly (string | number)[])[]): string {
  // A table has as many rows as a file has tensors: too many for the arguments of one Math.max.
  const columns = rows.reduce((most, row) => Math.max(most, row.length), 0);
  const widths = Array.from({ length: columns }, (_, c) =>
    rows.reduce((widest, row) => Math.max(widest, String(row[c] ?? '').length), 0),
  );
  // A column is one of numbers when its entries below the head are.
  const isNumeric = widths.map((_, c) => rows.slice(1).every((row) => typeof (row[c] ?? 0) === 'number'));
  return rows
    .map((row) =>
      row
        .map((cell, c) => (isNumeric[c] ? String(cell).padStart(widths[c]!) : String(cell).padEnd(widths[c]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
