// A line of text as a picture of its own: what stands under a picture on a sheet.
import type { RgbImage } from '../geometry/image.js';
import type { RgbColor } from './palette.js';
import { addText, fitText, fontRows, textColumns } from './stroke-font.js';
import { Surface } from './surface.js';

export interface CaptionOptions {
  /** Of the picture in pixels; text that does not fit is cut and ends in "..". */
  readonly width: number;
  /** Pixels a step of the letters' grid; a capital is 7 steps high. Default 1. */
  readonly scale?: number;
  /** Default black on white. */
  readonly color?: RgbColor;
  readonly background?: RgbColor;
}

/** The text centred on a strip that is as high as its letters need. */
export function drawCaption(text: string, options: CaptionOptions): RgbImage {
  const { width, scale = 1, color = [0, 0, 0], background = [255, 255, 255] } = options;
  const padding = Math.ceil(2 * scale);
  const height = Math.ceil(fontRows * scale) + 2 * padding;
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => background[(i % 3) as 0 | 1 | 2]);
  const surface = new Surface({ data, width, height });
  const shown = fitText(text, (width - 2 * padding) / scale);
  const left = Math.max(padding, Math.floor((width - textColumns(shown) * scale) / 2));
  addText(surface, shown, left, padding, scale);
  surface.paint(color);
  return { data: surface.data, width, height };
}
