// Detections or annotations drawn on their picture, which is bytes: they go to a canvas and come back.
import type { RgbImage } from '../geometry/image.js';
import type { Canvas2D, DrawingCanvas } from './canvas-2d.js';
import { type DrawnItem, type DrawStyle, detectionInstructions } from './detection-instructions.js';
import type { DrawInstruction, Rectangle } from './instructions.js';
import { instructionExtent, paintInstructions } from './paint-instructions.js';
import { copyFromCanvas, copyToCanvas } from './pixels-on-canvas.js';
import { canvasMeasure, type TextMeasure } from './text-measure.js';

export interface DrawOptions extends DrawStyle {
  /** What draws. In Node goshawk's `nodeCanvas`; in a browser `{ context: (w, h) => new OffscreenCanvas(w, h).getContext('2d')! }`. */
  readonly canvas: DrawingCanvas;
}

/**
 * A copy of the picture with the items on it, in input order but larger ones below smaller ones; labels on top.
 * @throws InputError where a mask is not of the picture's size
 */
export function drawDetections(image: RgbImage, items: readonly DrawnItem[], options: DrawOptions): RgbImage {
  const copy = { data: image.data.slice(), width: image.width, height: image.height };
  new DetectionPainter(options).paint(copy, items);
  return copy;
}

/** Draws as {@link drawDetections} does, on the pictures themselves; the canvas is kept from one to the next of the same size. */
export class DetectionPainter {
  readonly #options: DrawOptions;
  #kept: (Pick<RgbImage, 'width' | 'height'> & { readonly context: Canvas2D }) | undefined;
  #measure: TextMeasure | undefined;

  constructor(options: DrawOptions) {
    this.#options = options;
  }

  /** @throws InputError where a mask is not of the picture's size */
  paint(image: RgbImage, items: readonly DrawnItem[]): void {
    if (items.length === 0) return;
    const { canvas } = this.#options;
    const { width, height } = image;
    if (this.#kept?.width !== width || this.#kept.height !== height)
      this.#kept = { width, height, context: canvas.context(width, height) };
    const { context } = this.#kept;
    this.#measure ??= canvasMeasure(canvas.context(1, 1), canvas.font);
    const instructions = detectionInstructions(items, { ...this.#options, width, height, measure: this.#measure });
    // Of a film most pixels stay as they are: only the others make the way.
    const regions = changedRegions(instructions, image);
    for (const region of regions) copyToCanvas(image, context, region);
    paintInstructions(context, instructions, canvas.font);
    for (const region of regions) copyFromCanvas(image, context, region);
  }
}

/** Rectangles of whole pixels, clear of each other, that hold all that is drawn within the picture. */
function changedRegions(instructions: readonly DrawInstruction[], { width, height }: RgbImage): Rectangle[] {
  const regions: Rectangle[] = [];
  for (const instruction of instructions) {
    const extent = instructionExtent(instruction);
    const left = Math.max(0, Math.floor(extent.x));
    const top = Math.max(0, Math.floor(extent.y));
    const right = Math.min(width, Math.ceil(extent.x + extent.width));
    const bottom = Math.min(height, Math.ceil(extent.y + extent.height));
    if (left < right && top < bottom) absorb(regions, { x: left, y: top, width: right - left, height: bottom - top });
  }
  return regions;
}

/** Adds a rectangle; those that it meets become one with it, which may then meet others. */
function absorb(regions: Rectangle[], added: Rectangle): void {
  let region = added;
  for (let met = regions.findIndex((other) => meet(other, region)); met >= 0; ) {
    region = hull(regions.splice(met, 1)[0]!, region);
    met = regions.findIndex((other) => meet(other, region));
  }
  regions.push(region);
}

function meet(a: Rectangle, b: Rectangle): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function hull(a: Rectangle, b: Rectangle): Rectangle {
  const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
  const width = Math.max(a.x + a.width, b.x + b.width) - x;
  return { x, y, width, height: Math.max(a.y + a.height, b.y + b.height) - y };
}
