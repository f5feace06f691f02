// Where a picture changes when instructions are painted on it.
import type { DrawInstruction, Rectangle } from './instructions.js';
import { instructionExtents } from './paint-instructions.js';

/** Pixels a side: a rectangle costs as much as some hundred pixels to move. */
const TILE = 16;

/** Rectangles of whole pixels, clear of each other, that hold all that is drawn within the picture. */
export function changedRegions(
  instructions: readonly DrawInstruction[],
  { width, height }: Pick<Rectangle, 'width' | 'height'>,
): Rectangle[] {
  const columns = Math.ceil(width / TILE);
  const rows = Math.ceil(height / TILE);
  const isChanged = new Uint8Array(columns * rows);
  for (const extent of instructions.flatMap(instructionExtents)) {
    const [left, right] = tilesOf(extent.x, extent.width, columns);
    const [top, bottom] = tilesOf(extent.y, extent.height, rows);
    if (left < right)
      for (let row = top; row < bottom; row++) isChanged.fill(1, row * columns + left, row * columns + right);
  }
  const regions: Rectangle[] = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (isChanged[row * columns + column] === 0) continue;
      let [right, bottom] = [column + 1, row + 1];
      while (right < columns && isChanged[row * columns + right] === 1) right++;
      const isWhole = (below: number): boolean =>
        isChanged.subarray(below * columns + column, below * columns + right).every((tile) => tile === 1);
      while (bottom < rows && isWhole(bottom)) bottom++;
      for (let below = row; below < bottom; below++)
        isChanged.fill(0, below * columns + column, below * columns + right);
      const [x, y] = [column * TILE, row * TILE];
      regions.push({ x, y, width: Math.min(right * TILE, width) - x, height: Math.min(bottom * TILE, height) - y });
    }
  }
  return regions;
}

/** The first and behind the last of the tiles that a part of an axis lies in. */
function tilesOf(start: number, length: number, tiles: number): readonly [first: number, end: number] {
  return [Math.max(0, Math.floor(start / TILE)), Math.min(tiles, Math.ceil((start + length) / TILE))];
}
