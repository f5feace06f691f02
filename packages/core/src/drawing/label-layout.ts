// Where labels stand: at a corner of their box, in the picture, and clear of each other where there is room.
import type { Point, Rectangle } from './instructions.js';

/**
 * The place of a label of this size: the first of a few places around the box that no earlier label covers, or else the
 * nearest free one anywhere, or where there is none the one of the few with the least overlap. All places lie within the
 * picture where the label fits into it. Whole pixels.
 */
export function placeLabel(box: Rectangle, size: Size, picture: Size, placed: readonly Rectangle[]): Rectangle {
  const left = box.x;
  const right = box.x + box.width - size.width;
  const above = box.y - size.height;
  const below = box.y + box.height;
  const insideTop = box.y;
  const insideBottom = below - size.height;
  const middle = box.y + (box.height - size.height) / 2;
  const outside: Candidate[] = [
    [left, above, true],
    [right, above, true],
    [left, below, true],
    [right, below, true],
  ];
  const inside: Candidate[] = [
    [left, insideTop, false],
    [right, insideTop, false],
    [left, insideBottom, false],
    [right, insideBottom, false],
    [left, middle, false],
  ];
  const beside = [box.x + box.width, left - size.width]
    .filter((x) => x >= 0 && x + size.width <= picture.width)
    .map((x): Candidate => [x, insideTop, false]);
  // Inside of a small box a label would hide the object.
  const isSmall = box.height < 3 * size.height || box.width < size.width;
  const near = isSmall ? [...outside, ...beside] : [outside[0]!, inside[0]!, ...outside, ...inside];
  const within = (x: number, y: number): Rectangle => ({
    x: Math.round(Math.min(Math.max(x, 0), Math.max(picture.width - size.width, 0))),
    y: Math.round(Math.min(Math.max(y, 0), Math.max(picture.height - size.height, 0))),
    width: size.width,
    height: size.height,
  });
  let best: Rectangle | undefined;
  let leastOverlap = Number.POSITIVE_INFINITY;
  for (const [x, y, isOutside] of near) {
    // A place above or below the box is of no use where it has to be pushed back over it.
    if (isOutside && (y < 0 || y + size.height > picture.height)) continue;
    const place = within(x, y);
    const overlap = placed.reduce((sum, other) => sum + overlapArea(place, other), 0);
    if (overlap < leastOverlap) {
      leastOverlap = overlap;
      best = place;
    }
    if (overlap === 0) break;
  }
  if (leastOverlap === 0) return best!;
  return nearestFree(box, size, picture, placed) ?? best ?? within(left, insideTop);
}

// On a grid of a third of a label's height and width, from the box on.
function nearestFree(box: Rectangle, size: Size, picture: Size, placed: readonly Rectangle[]): Rectangle | undefined {
  const { width, height } = size;
  if (width > picture.width || height > picture.height) return undefined;
  const columns = places(box.x, Math.max(1, Math.floor(width / 3)), picture.width - width);
  const rowStep = Math.max(1, Math.floor(height / 3));
  const rows = [
    ...places(box.y - height, rowStep, picture.height - height),
    ...places(box.y + box.height, rowStep, picture.height - height),
  ];
  let best: Rectangle | undefined;
  let leastDistance = Number.POSITIVE_INFINITY;
  for (const y of rows) {
    for (const x of columns) {
      const place = { x, y, width, height };
      const [from, to] = between(place, box);
      const distance = (from[0] - to[0]) ** 2 + (from[1] - to[1]) ** 2;
      if (distance >= leastDistance || placed.some((other) => overlapArea(place, other) > 0)) continue;
      leastDistance = distance;
      best = place;
    }
  }
  return best;
}

/** Whole numbers from 0 to `last`, `step` apart, one of them `around` where it is within. */
function places(around: number, step: number, last: number): number[] {
  const first = Math.round(Math.min(Math.max(around, 0), last)) % step;
  return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => first + i * step);
}

/** A line from a label to its box, where the label stands apart from it. */
export function leaderOf(place: Rectangle, box: Rectangle): { readonly from: Point; readonly to: Point } | undefined {
  const [from, to] = between(place, box);
  const isApart = Math.hypot(from[0] - to[0], from[1] - to[1]) > place.height / 2;
  return isApart ? { from, to } : undefined;
}

/** The ends of the shortest way from one rectangle to another; both in the middle of what they share. */
function between(a: Rectangle, b: Rectangle): [Point, Point] {
  const [ax, bx] = gap(a.x, a.x + a.width, b.x, b.x + b.width);
  const [ay, by] = gap(a.y, a.y + a.height, b.y, b.y + b.height);
  return [
    [ax, ay],
    [bx, by],
  ];
}

function gap(a0: number, a1: number, b0: number, b1: number): [number, number] {
  if (a1 < b0) return [a1, b0];
  if (b1 < a0) return [a0, b1];
  const middle = (Math.max(a0, b0) + Math.min(a1, b1)) / 2;
  return [middle, middle];
}

type Size = Pick<Rectangle, 'width' | 'height'>;

type Candidate = readonly [x: number, y: number, isOutside: boolean];

function overlapArea(a: Rectangle, b: Rectangle): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return Math.max(width, 0) * Math.max(height, 0);
}
