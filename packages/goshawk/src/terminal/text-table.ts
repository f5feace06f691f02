// Columns of text for a terminal.

/** Rows with their columns aligned, two spaces apart: text to the left, numbers to the right. The first row is the head. */
export function formatTable(rows: readonly (readonly (string | number)[])[]): string {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, c) => Math.max(...rows.map((row) => String(row[c] ?? '').length)));
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
