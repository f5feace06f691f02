// What the data pages count boxes by; the page asks the same to lead from a bar to its pictures.

/** A tenth of a pixel is enough to look at; what is counted is what is shown. */
export function keptPixels(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Side of a square of the same area, pixels. */
export function boxSize(width: number, height: number): number {
  return Math.sqrt(width * height);
}

/** Width over height. */
export function boxAspect(width: number, height: number): number {
  return width / height;
}

/** The bin of a value: the first and the last are open. */
export function binOf(value: number, edges: readonly number[]): number {
  let bin = 0;
  while (bin < edges.length - 2 && value >= edges[bin + 1]!) bin++;
  return bin;
}

export const POSITION_CELLS = 12;

/** Row and column of the cell of a picture in which a box has its centre. */
export function positionCell(
  box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
  picture: { readonly width: number; readonly height: number },
): readonly [row: number, column: number] {
  const cell = (value: number, side: number): number =>
    Math.min(POSITION_CELLS - 1, Math.max(0, Math.floor((value / side) * POSITION_CELLS)));
  return [cell(box.y + box.height / 2, picture.height), cell(box.x + box.width / 2, picture.width)];
}
