// Where a training picture is cut: rectangles of whole pixels, drawn at random, kept over objects.
import type { BoxXyxy } from '../boxes/box.js';
import type { Random } from '../random/random.js';

/** A rectangle of whole pixels inside a picture. */
export interface PixelWindow {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** The window that is the whole picture. */
export function wholeWindow(width: number, height: number): PixelWindow {
  return { x: 0, y: 0, width, height };
}

interface Sides {
  readonly width: number;
  readonly height: number;
}

/**
 * A window of at most `target`'s sides, every place in the picture equally likely (mmdetection's RandomCrop); a side
 * on which the picture is shorter is taken whole. Draws two numbers.
 */
export function randomWindow(picture: Sides, target: Sides, random: Random): PixelWindow {
  const height = Math.min(picture.height, target.height);
  const width = Math.min(picture.width, target.width);
  const y = random.integer(picture.height - height + 1);
  return { x: random.integer(picture.width - width + 1), y, width, height };
}

/**
 * The window that shortens a picture of width / height outside of `low`..`high` to that bound, or undefined where it is
 * inside. As Detectron.pytorch crops (lib/roi_data/loader.py): all `boxes` stay whole where there is room for them, else
 * one of them, drawn at random, stays; one longer than the window fills it.
 * @param boxes pixels of `picture`
 */
export function aspectWindow(
  picture: Sides,
  boxes: readonly BoxXyxy[],
  { low, high }: { readonly low: number; readonly high: number },
  random: Random,
): PixelWindow | undefined {
  const { width, height } = picture;
  const tallest = Math.ceil(width / low);
  if (height > tallest) {
    const spans = boxes.map((box): Span => [box[1], box[3]]);
    return { x: 0, y: startOver(spans, tallest, height, random), width, height: tallest };
  }
  const widest = Math.ceil(height * high);
  if (width > widest) {
    const spans = boxes.map((box): Span => [box[0], box[2]]);
    return { x: startOver(spans, widest, width, random), y: 0, width: widest, height };
  }
  return undefined;
}

/** A window of at most `target`'s sides that holds `box`, or lies in it where it is larger; drawn among all such. */
export function windowOver(picture: Sides, target: Sides, box: BoxXyxy, random: Random): PixelWindow {
  const height = Math.min(picture.height, target.height);
  const width = Math.min(picture.width, target.width);
  const y = startOver([[box[1], box[3]]], height, picture.height, random);
  return { x: startOver([[box[0], box[2]]], width, picture.width, random), y, width, height };
}

type Span = readonly [low: number, high: number];

/** Where a window of `length` begins in a side of `whole` pixels. */
function startOver(spans: readonly Span[], length: number, whole: number, random: Random): number {
  const last = whole - length;
  if (spans.length === 0) return random.integer(last + 1);
  const all = spans.reduce<Span>(
    (around, span) => [Math.min(around[0], span[0]), Math.max(around[1], span[1])],
    spans[0]!,
  );
  const [low, high] = all[1] - all[0] <= length ? all : spans[random.integer(spans.length)]!;
  // Beginnings between these two hold the span, or lie in it.
  const ends = [high - length, low].map((end) => Math.min(Math.max(end, 0), last));
  const first = Math.ceil(Math.min(...ends));
  const count = Math.floor(Math.max(...ends)) - first + 1;
  return count <= 0 ? first - 1 : first + random.integer(count);
}
