// How much room lines of text take.
import { type Canvas2D, cssFont, DEFAULT_FONT, type LabelFont } from './canvas-2d.js';

/** Pixels from the start of a line to its end, rounded up. @param sizePx of the font */
export type TextMeasure = (text: string, sizePx: number) => number;

// Of the size of a font: room for accents on capitals, and below the base line.
const ASCENT = 1.08;
const DESCENT = 0.28;
/** Scores make many lines of each name; these are kept. */
const KEPT_WIDTHS = 2000;

/** All lines of one size are of one height. */
export function lineHeight(sizePx: number): number {
  return baseline(sizePx) + Math.ceil(sizePx * DESCENT);
}

/** Pixels from the top of a line to what its letters stand on. */
export function baseline(sizePx: number): number {
  return Math.ceil(sizePx * ASCENT);
}

/** What a canvas says. @param font what is drawn with later; default that of `paintInstructions` */
export function canvasMeasure(
  context: Pick<Canvas2D, 'font' | 'measureText'>,
  font: LabelFont = DEFAULT_FONT,
): TextMeasure {
  const widths = new Map<string, number>();
  return (text, sizePx) => {
    const key = `${sizePx} ${text}`;
    const known = widths.get(key);
    if (known !== undefined) return known;
    context.font = cssFont(font, sizePx);
    const width = Math.ceil(context.measureText(text).width);
    if (widths.size >= KEPT_WIDTHS) widths.clear();
    widths.set(key, width);
    return width;
  };
}

/** As much of the text as fits, an ending "…" where some is left out; empty where not even one letter fits. */
export function fitText(measure: TextMeasure, text: string, sizePx: number, mostPx: number): string {
  if (measure(text, sizePx) <= mostPx) return text;
  const letters = [...text];
  for (let count = letters.length - 1; count > 0; count--) {
    const cut = `${letters.slice(0, count).join('').trimEnd()}…`;
    if (measure(cut, sizePx) <= mostPx) return cut;
  }
  return '';
}
