// Where labels stand: at a corner of their box, in the picture, and clear of each other where that is easy.

export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/**
 * The place of a label of this size: the first of a few places around the box that no earlier label covers, or else the
 * one with the least overlap. All places lie within the picture where the label fits into it.
 */
export function placeLabel(
  box: Rectangle,
  size: { readonly width: number; readonly height: number },
  picture: { readonly width: number; readonly height: number },
  placed: readonly Rectangle[],
): Rectangle {
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
  const farther = [1, 2, 3].flatMap((rows): Candidate[] => [
    [left, above - rows * size.height, true],
    [left, below + rows * size.height, true],
  ]);
  // Inside of a small box a label would hide the object.
  const isSmall = box.height < 3 * size.height || box.width < size.width;
  const near = isSmall
    ? [...outside, ...farther, ...inside]
    : [outside[0]!, inside[0]!, ...outside, ...inside, ...farther];
  let best: Rectangle | undefined;
  let leastOverlap = Number.POSITIVE_INFINITY;
  for (const [x, y, isOutside] of near) {
    // A place above or below the box is of no use where it has to be pushed back over it.
    if (isOutside && (y < 0 || y + size.height > picture.height)) continue;
    const place = {
      x: Math.round(Math.min(Math.max(x, 0), Math.max(picture.width - size.width, 0))),
      y: Math.round(Math.min(Math.max(y, 0), Math.max(picture.height - size.height, 0))),
      width: size.width,
      height: size.height,
    };
    const overlap = placed.reduce((sum, other) => sum + overlapArea(place, other), 0);
    if (overlap < leastOverlap) {
      leastOverlap = overlap;
      best = place;
    }
    if (overlap === 0) break;
  }
  return best ?? { x: 0, y: 0, ...size };
}

type Candidate = readonly [x: number, y: number, isOutside: boolean];

function overlapArea(a: Rectangle, b: Rectangle): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return Math.max(width, 0) * Math.max(height, 0);
}
