// The part of a canvas that drawing needs: a page's `CanvasRenderingContext2D`, an `OffscreenCanvas`'s, or a library's in Node.

/** RGBA bytes, rows first. */
export interface CanvasPixels {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

export interface Canvas2D {
  fillStyle: unknown;
  strokeStyle: unknown;
  globalAlpha: number;
  lineWidth: number;
  lineCap: unknown;
  lineJoin: unknown;
  font: string;
  textBaseline: unknown;
  textAlign: unknown;
  beginPath(): void;
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
  arc(x: number, y: number, radius: number, startAngle: number, endAngle: number): void;
  closePath(): void;
  fill(rule?: 'nonzero' | 'evenodd'): void;
  stroke(): void;
  clearRect(x: number, y: number, width: number, height: number): void;
  fillRect(x: number, y: number, width: number, height: number): void;
  fillText(text: string, x: number, y: number): void;
  measureText(text: string): { readonly width: number };
  getImageData(x: number, y: number, width: number, height: number): CanvasPixels;
}

export interface LabelFont {
  /** CSS, the first that has a letter draws it: `"My Font", sans-serif`. */
  readonly family: string;
  /** CSS, 100 to 900. */
  readonly weight: number;
}

/** What makes canvases, for pictures that are bytes. */
export interface DrawingCanvas {
  /** Of a new canvas of this size in pixels: `(width, height) => new OffscreenCanvas(width, height).getContext('2d')!`. */
  context(width: number, height: number): Canvas2D;
  /** Of names and scores. Default the system's sans-serif, half bold. */
  readonly font?: LabelFont;
}

export const DEFAULT_FONT: LabelFont = { family: 'sans-serif', weight: 600 };

export function cssFont({ family, weight }: LabelFont, sizePx: number): string {
  return `${weight} ${sizePx}px ${family}`;
}
