// A line of text as a picture of its own: what stands under a picture on a sheet.
import type { RgbImage } from '../geometry/image.js';
import type { RgbColor } from './palette.js';
import { Surface } from './surface.js';
import { fitText, lineHeight, type TextRenderer } from './text-renderer.js';

export interface CaptionOptions {
  readonly text: TextRenderer;
  /** Of the picture in pixels; text that does not fit is cut and ends in "…". */
  readonly width: number;
  /** Of the font, pixels. Default 13. */
  readonly sizePx?: number;
  /** Default black on white. */
  readonly color?: RgbColor;
  readonly background?: RgbColor;
}

const PADDING = 2;

/** The text centred on a strip that is as high as its letters need. */
export function drawCaption(caption: string, options: CaptionOptions): RgbImage {
  const { text, width, sizePx = 13, color = [0, 0, 0], background = [255, 255, 255] } = options;
  const height = lineHeight(sizePx) + 2 * PADDING;
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => background[(i % 3) as 0 | 1 | 2]);
  const surface = new Surface({ data, width, height });
  const line = text.line(fitText(text, caption, sizePx, width - 2 * PADDING), sizePx);
  surface.addCoverage(line, Math.max(PADDING, Math.floor((width - line.width) / 2)), PADDING);
  surface.paint(color);
  return { data: surface.data, width, height };
}
