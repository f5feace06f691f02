// What of a picture is still seen after the steps that follow: of the four pictures of a mosaic often a corner. Colours
// are changed there alone.
import { depthOf, inverseMap, mapPoint, type PixelWindow, wholeWindow } from '@goshawk/core';
import { cornerOf, type PlannedPicture, type PlannedStep } from './planned-picture.js';

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Before each step, and after the last. */
export function sizesOf({ image: { width, height }, steps = [] }: PlannedPicture): Size[] {
  const sizes: Size[] = [{ width, height }];
  for (const step of steps) {
    const last = sizes.at(-1)!;
    sizes.push('width' in step ? { width: step.width, height: step.height } : last);
  }
  return sizes;
}

/** What is seen before each step, and after the last, of the picture itself. @param seen of the result */
export function seenRegions(plan: PlannedPicture, seen: PixelWindow): PixelWindow[] {
  const { steps = [] } = plan;
  const sizes = sizesOf(plan);
  const regions = [seen];
  for (let i = steps.length - 1; i >= 0; i--) regions.unshift(seenBefore(steps[i]!, regions[0]!, sizes[i]!));
  return regions;
}

/** Of one of the pictures of a mosaic, by its place in it. */
export function seenInMosaic(
  mosaic: PlannedStep & { kind: 'mosaic' },
  place: number,
  seen: PixelWindow,
  size: Size,
): PixelWindow {
  const { x, y } = cornerOf(mosaic, place, size);
  return within(seen.x - x, seen.y - y, seen.x + seen.width - x, seen.y + seen.height - y, size);
}

// Bilinear filters look at neighbours, and places are rounded.
const FILTER_REACH = 2;

function seenBefore(step: PlannedStep, seen: PixelWindow, size: Size): PixelWindow {
  switch (step.kind) {
    case 'hsv':
    case 'noise':
      return seen;
    case 'color':
      // Its contrast is about the mean of all.
      return wholeWindow(size.width, size.height);
    case 'blur':
      return around(seen, step.side, size);
    case 'mosaic':
      return seenInMosaic(step, 0, seen, size);
    case 'mixup':
      return within(seen.x, seen.y, seen.x + seen.width, seen.y + seen.height, size);
    case 'resize': {
      const { inner, left, top } = step;
      const scaled: PixelWindow = {
        x: ((seen.x - left) * size.width) / inner.width,
        y: ((seen.y - top) * size.height) / inner.height,
        width: (seen.width * size.width) / inner.width,
        height: (seen.height * size.height) / inner.height,
      };
      return around(scaled, FILTER_REACH, size);
    }
    case 'move': {
      const inverse = inverseMap(step.map);
      const corners = [0, 1, 2, 3].map(
        (i) => [seen.x + (i % 2) * seen.width, seen.y + Math.floor(i / 2) * seen.height] as const,
      );
      // Beyond the horizon of a perspective nothing bounds what is seen.
      if (corners.some(([x, y]) => depthOf(inverse, x, y) <= 0)) return wholeWindow(size.width, size.height);
      const points = corners.map(([x, y]) => mapPoint(inverse, x, y));
      const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
      const [x, y] = [Math.min(...xs), Math.min(...ys)];
      return around({ x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y }, FILTER_REACH, size);
    }
  }
}

function around({ x, y, width, height }: PixelWindow, reach: number, size: Size): PixelWindow {
  return within(x - reach, y - reach, x + width + reach, y + height + reach, size);
}

/** In whole pixels of a picture; of no width or height where it lies outside. */
function within(x1: number, y1: number, x2: number, y2: number, { width, height }: Size): PixelWindow {
  const [left, top] = [Math.max(0, Math.floor(x1)), Math.max(0, Math.floor(y1))];
  const [right, bottom] = [Math.min(width, Math.ceil(x2)), Math.min(height, Math.ceil(y2))];
  return { x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
}
