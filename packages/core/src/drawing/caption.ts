// A line of text as a picture of its own: what stands under a picture on a sheet.
import type { RgbImage } from '../geometry/image.js';
import { blendCanvas } from './blend-canvas.js';
import { cssFont, DEFAULT_FONT, type DrawingCanvas } from './canvas-2d.js';
import type { RgbColor } from './palette.js';
import { baseline, canvasMeasure, fitText, lineHeight } from './text-measure.js';

export interface CaptionOptions {
  readonly canvas: DrawingCanvas;
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
  const { canvas, width, sizePx = 13, color = [0, 0, 0], background = [255, 255, 255] } = options;
  const height = lineHeight(sizePx) + 2 * PADDING;
  const context = canvas.context(width, height);
  const measure = canvasMeasure(context, canvas.font);
  const text = fitText(measure, caption, sizePx, width - 2 * PADDING);
  context.fillStyle = `rgb(${background.join(', ')})`;
  context.fillRect(0, 0, width, height);
  context.fillStyle = `rgb(${color.join(', ')})`;
  context.font = cssFont(canvas.font ?? DEFAULT_FONT, sizePx);
  context.textBaseline = 'alphabetic';
  const left = Math.max(PADDING, Math.floor((width - measure(text, sizePx)) / 2));
  context.fillText(text, left, PADDING + baseline(sizePx));
  const strip = { data: new Uint8Array(width * height * 3), width, height };
  blendCanvas(strip, context, { x: 0, y: 0, width, height });
  return strip;
}
