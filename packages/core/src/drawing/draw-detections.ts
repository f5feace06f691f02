// Detections or annotations drawn on their picture, which is bytes: a canvas draws them, and they are laid over the picture.
import type { RgbImage } from '../geometry/image.js';
import { blendCanvas, blendEvenly } from './blend-canvas.js';
import type { Canvas2D, DrawingCanvas } from './canvas-2d.js';
import { changedParts } from './changed-parts.js';
import { type DrawnItem, type DrawStyle, detectionInstructions } from './detection-instructions.js';
import { paintInstructions } from './paint-instructions.js';
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
    // Also of all that was drawn before, which some canvases remember until then.
    context.clearRect(0, 0, width, height);
    paintInstructions(context, instructions, canvas.font);
    const { detailed, even } = changedParts(instructions, image);
    for (const region of detailed) blendCanvas(image, context, region);
    for (const group of even) blendEvenly(image, context, group);
  }
}
