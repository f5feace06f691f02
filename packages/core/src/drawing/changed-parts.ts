// Where a picture changes when instructions are painted on it.
import type { DrawInstruction, MaskInstruction, Rectangle } from './instructions.js';
import { instructionExtents } from './paint-instructions.js';

/** Parts of a picture; all rectangles are of whole pixels, clear of each other, and together hold all that is drawn within it. */
export interface ChangedParts {
  /** May have any pixels. */
  readonly detailed: readonly Rectangle[];
  /** Groups of rectangles. Pixels of one group are alike on a clear canvas: the same masks tint them, and nothing else is there. */
  readonly even: readonly (readonly Rectangle[])[];
}

/** Pixels a side: a rectangle costs as much as some hundred pixels to move. */
const TILE = 16;
/** Of a tile, in place of the number of its group. */
const UNTOUCHED = 0;
const DETAILED = -1;
/** Asking a canvas for the colour of a group costs as much as moving so many tiles. */
const LEAST_TILES = 4;

export function changedParts(
  instructions: readonly DrawInstruction[],
  size: Pick<Rectangle, 'width' | 'height'>,
): ChangedParts {
  const tiles = new Tiles(size);
  for (const instruction of instructions) {
    if (instruction.kind === 'mask') tiles.tint(instruction);
    else for (const extent of instructionExtents(instruction)) tiles.markDetailed(extent);
  }
  return tiles.parts();
}

class Tiles {
  readonly #size: Pick<Rectangle, 'width' | 'height'>;
  readonly #columns: number;
  readonly #rows: number;
  readonly #groups: Int32Array;
  #count = 0;

  constructor(size: Pick<Rectangle, 'width' | 'height'>) {
    this.#size = size;
    this.#columns = Math.ceil(size.width / TILE);
    this.#rows = Math.ceil(size.height / TILE);
    this.#groups = new Int32Array(this.#columns * this.#rows);
  }

  markDetailed(extent: Rectangle): void {
    this.#fill(this.#groups, extent, DETAILED);
  }

  /** A tile that no outline crosses lies within the mask or beside it, wholly. */
  tint(mask: MaskInstruction): void {
    const columns = this.#columns;
    const isCrossed = new Uint8Array(this.#groups.length);
    const crossings = Array.from({ length: this.#rows }, (): number[] => []);
    // Corners of the line reach as far beyond it as it is wide.
    const margin = mask.outlinePx + 1;
    for (const points of mask.outlines) {
      for (let i = 0; i < points.length; i += 2) {
        const next = i + 2 === points.length ? 0 : i + 2;
        const [x0, y0, x1, y1] = [points[i]!, points[i + 1]!, points[next]!, points[next + 1]!];
        this.#cross(isCrossed, x0, y0, x1, y1, margin);
        addCrossings(crossings, x0, y0, x1, y1);
      }
    }
    // Tiles that were alike before are alike below the tint too.
    const tinted = new Map<number, number>();
    crossings.forEach((xs, row) => {
      if (xs.length > 1) xs.sort((a, b) => a - b);
      let isInside = false;
      for (let column = 0, passed = 0, at = row * columns; column < columns; column++, at++) {
        const middle = (column + 0.5) * TILE;
        for (; passed < xs.length && xs[passed]! <= middle; passed++) isInside = !isInside;
        const before = this.#groups[at]!;
        if (isCrossed[at] === 1) this.#groups[at] = DETAILED;
        else if (isInside && before !== DETAILED) {
          const group = tinted.get(before) ?? ++this.#count;
          tinted.set(before, group);
          this.#groups[at] = group;
        }
      }
    });
  }

  parts(): ChangedParts {
    const groups = this.#groups;
    const sizes = new Uint32Array(this.#count + 1);
    for (const group of groups) if (group > 0) sizes[group]!++;
    for (let at = 0; at < groups.length; at++)
      if (groups[at]! > 0 && sizes[groups[at]!]! < LEAST_TILES) groups[at] = DETAILED;
    const detailed: Rectangle[] = [];
    const even = new Map<number, Rectangle[]>();
    for (let row = 0; row < this.#rows; row++) {
      for (let column = 0; column < this.#columns; column++) {
        const group = groups[row * this.#columns + column]!;
        if (group === UNTOUCHED) continue;
        const rectangle = this.#take(row, column, group);
        if (group === DETAILED) detailed.push(rectangle);
        else if (even.has(group)) even.get(group)!.push(rectangle);
        else even.set(group, [rectangle]);
      }
    }
    return { detailed, even: [...even.values()] };
  }

  /** The tiles of a group that make the largest rectangle to the right and then down from one; they are untouched then. */
  #take(row: number, column: number, group: number): Rectangle {
    const groups = this.#groups;
    const columns = this.#columns;
    let [right, bottom] = [column + 1, row + 1];
    while (right < columns && groups[row * columns + right] === group) right++;
    const isWhole = (below: number): boolean => {
      for (let at = below * columns + column; at < below * columns + right; at++)
        if (groups[at] !== group) return false;
      return true;
    };
    while (bottom < this.#rows && isWhole(bottom)) bottom++;
    for (let below = row; below < bottom; below++)
      groups.fill(UNTOUCHED, below * columns + column, below * columns + right);
    const [x, y] = [column * TILE, row * TILE];
    const { width, height } = this.#size;
    return { x, y, width: Math.min(right * TILE, width) - x, height: Math.min(bottom * TILE, height) - y };
  }

  /** Marks the tiles near a line, in pieces so that slanted ones mark few. */
  #cross(into: Uint8Array, x0: number, y0: number, x1: number, y1: number, margin: number): void {
    const pieces = Math.max(1, Math.ceil(Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0)) / TILE));
    const [dx, dy] = [(x1 - x0) / pieces, (y1 - y0) / pieces];
    for (let piece = 0; piece < pieces; piece++) {
      const [x, y] = [x0 + piece * dx, y0 + piece * dy];
      const left = Math.min(x, x + dx) - margin;
      const top = Math.min(y, y + dy) - margin;
      this.#fill(into, { x: left, y: top, width: Math.abs(dx) + 2 * margin, height: Math.abs(dy) + 2 * margin }, 1);
    }
  }

  #fill(into: Int32Array | Uint8Array, { x, y, width, height }: Rectangle, value: number): void {
    const [left, right] = tilesOf(x, width, this.#columns);
    const [top, bottom] = tilesOf(y, height, this.#rows);
    for (let row = top; row < bottom; row++)
      for (let at = row * this.#columns + left; at < row * this.#columns + right; at++) into[at] = value;
  }
}

/** Where a line passes the middles of rows of tiles. */
function addCrossings(crossings: readonly number[][], x0: number, y0: number, x1: number, y1: number): void {
  // Row r has its middle at (r + 0.5) * TILE; a line has its lower end and not its upper one.
  const first = Math.max(0, Math.ceil(Math.min(y0, y1) / TILE - 0.5));
  const end = Math.min(crossings.length, Math.ceil(Math.max(y0, y1) / TILE - 0.5));
  for (let row = first; row < end; row++)
    crossings[row]!.push(x0 + (((row + 0.5) * TILE - y0) * (x1 - x0)) / (y1 - y0));
}

/** The first and behind the last of the tiles that a part of an axis lies in. */
function tilesOf(start: number, length: number, tiles: number): readonly [first: number, end: number] {
  return [Math.max(0, Math.floor(start / TILE)), Math.min(tiles, Math.ceil((start + length) / TILE))];
}
