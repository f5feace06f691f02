// Lines of text as pixels, made by any 2D canvas: a browser's, or a library's in Node.

/** A line as the share of each pixel that its letters cover. */
export interface TextLine {
  /** 0 to 255, rows first. */
  readonly coverage: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** What names and scores are drawn with. */
export interface TextRenderer {
  /** Pixels from the start of a line to its end. @param sizePx of the font */
  width(text: string, sizePx: number): number;
  /** All lines of one size are of one height. */
  line(text: string, sizePx: number): TextLine;
}

/** The part of a canvas's 2D context that text needs. */
export interface TextContext {
  fillStyle: unknown;
  font: string;
  textBaseline: unknown;
  measureText(text: string): { readonly width: number };
  fillRect(x: number, y: number, width: number, height: number): void;
  fillText(text: string, x: number, y: number): void;
  getImageData(x: number, y: number, width: number, height: number): { readonly data: Uint8ClampedArray };
}

export interface CanvasTextOptions {
  /** A canvas's context, such as `new OffscreenCanvas(width, height).getContext('2d')`. */
  readonly contextOf: (width: number, height: number) => TextContext;
  /** CSS, the first that has a letter draws it: `"My Font", sans-serif`. Default sans-serif. */
  readonly family?: string;
  /** CSS. Default 600. */
  readonly weight?: number;
}

// Of the size of a font: room for accents on capitals, and below the base line.
const ASCENT = 1.08;
const DESCENT = 0.28;
/** Scores make many lines of each name; these are kept. */
const KEPT_LINES = 2000;

export function lineHeight(sizePx: number): number {
  return Math.ceil(sizePx * ASCENT) + Math.ceil(sizePx * DESCENT);
}

/** Text of a canvas; lines that were drawn before are not drawn again. */
export function canvasText({ contextOf, family = 'sans-serif', weight = 600 }: CanvasTextOptions): TextRenderer {
  const lines = new Map<string, TextLine>();
  let measuring: TextContext | undefined;
  const fontOf = (sizePx: number): string => `${weight} ${sizePx}px ${family}`;
  const width = (text: string, sizePx: number): number => {
    measuring ??= contextOf(1, 1);
    measuring.font = fontOf(sizePx);
    return Math.ceil(measuring.measureText(text).width);
  };
  return {
    width,
    line(text, sizePx) {
      const key = `${sizePx} ${text}`;
      const known = lines.get(key);
      if (known) return known;
      const line = drawLine(contextOf, { text, font: fontOf(sizePx), sizePx, width: Math.max(1, width(text, sizePx)) });
      if (lines.size >= KEPT_LINES) lines.clear();
      lines.set(key, line);
      return line;
    },
  };
}

function drawLine(
  contextOf: CanvasTextOptions['contextOf'],
  {
    text,
    font,
    sizePx,
    width,
  }: { readonly text: string; readonly font: string; readonly sizePx: number; readonly width: number },
): TextLine {
  const height = lineHeight(sizePx);
  const context = contextOf(width, height);
  context.fillStyle = '#000';
  context.fillRect(0, 0, width, height);
  context.fillStyle = '#fff';
  context.font = font;
  context.textBaseline = 'alphabetic';
  context.fillText(text, 0, Math.ceil(sizePx * ASCENT));
  const { data } = context.getImageData(0, 0, width, height);
  return { coverage: Uint8Array.from({ length: width * height }, (_, i) => data[i * 4]!), width, height };
}

/** As much of the text as fits, an ending "…" where some is left out; empty where not even one letter fits. */
export function fitText(renderer: TextRenderer, text: string, sizePx: number, mostPx: number): string {
  if (renderer.width(text, sizePx) <= mostPx) return text;
  const letters = [...text];
  for (let count = letters.length - 1; count > 0; count--) {
    const cut = `${letters.slice(0, count).join('').trimEnd()}…`;
    if (renderer.width(cut, sizePx) <= mostPx) return cut;
  }
  return '';
}
