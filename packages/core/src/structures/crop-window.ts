// Which whole pixels a crop takes: one rule for boxes and both kinds of masks, so that they stay together.
import type { BoxXyxy, ImageSize } from '../boxes/index.js';

export interface CropWindow extends ImageSize {
  readonly left: number;
  readonly top: number;
}

/** The box rounded to whole pixels and kept inside the picture; at least one pixel wide and high. */
export function cropWindow([x1, y1, x2, y2]: BoxXyxy, size: ImageSize): CropWindow {
  const [left, width] = span(x1, x2, size.width);
  const [top, height] = span(y1, y2, size.height);
  return { left, top, width, height };
}

function span(from: number, to: number, length: number): readonly [start: number, length: number] {
  const start = Math.min(Math.max(Math.round(from), 0), length - 1);
  const end = Math.min(Math.max(Math.round(to), start + 1), length);
  return [start, end - start];
}
