// A small rasteriser: lines, discs and rectangles with soft edges on an RGB picture. A figure is first gathered as
// coverage, so that its joints and crossings do not show, and then painted at once.
import type { RgbImage } from '../geometry/image.js';
import type { RgbColor } from './palette.js';

export class Surface {
  readonly width: number;
  readonly height: number;
  /** RGB bytes, rows first. */
  readonly data: Uint8Array;
  private readonly coverage: Float32Array;
  private left = 0;
  private top = 0;
  private right = 0;
  private bottom = 0;

  /** Works on a copy of the picture. */
  constructor(image: RgbImage) {
    this.width = image.width;
    this.height = image.height;
    this.data = image.data.slice();
    this.coverage = new Float32Array(image.width * image.height);
  }

  /** Adds a line with round ends to the figure; a line of no length is a disc. Pixel (0, 0) covers 0..1 on both axes. */
  addLine(x0: number, y0: number, x1: number, y1: number, widthPx: number): void {
    const { width, coverage } = this;
    const half = widthPx / 2;
    const reach = half + 0.5;
    const left = Math.max(Math.floor(Math.min(x0, x1) - reach), 0);
    const top = Math.max(Math.floor(Math.min(y0, y1) - reach), 0);
    const right = Math.min(Math.ceil(Math.max(x0, x1) + reach), width);
    const bottom = Math.min(Math.ceil(Math.max(y0, y1) + reach), this.height);
    if (!(left < right && top < bottom)) return;
    this.include(left, top, right, bottom);
    const dx = x1 - x0;
    const dy = y1 - y0;
    const perLength2 = 1 / (dx * dx + dy * dy || 1);
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const px = x + 0.5 - x0;
        const py = y + 0.5 - y0;
        const along = Math.min(Math.max((px * dx + py * dy) * perLength2, 0), 1);
        const ex = px - along * dx;
        const ey = py - along * dy;
        const covered = Math.min(reach - Math.sqrt(ex * ex + ey * ey), 1);
        const at = y * width + x;
        if (covered > coverage[at]!) coverage[at] = covered;
      }
    }
  }

  /** Adds the lines between points `[x0, y0, x1, y1, ...]`. */
  addPath(points: readonly number[], widthPx: number, isClosed: boolean): void {
    if (points.length === 2) this.addLine(points[0]!, points[1]!, points[0]!, points[1]!, widthPx);
    for (let i = isClosed ? 0 : 2; i < points.length; i += 2) {
      const before = i === 0 ? points.length - 2 : i - 2;
      this.addLine(points[before]!, points[before + 1]!, points[i]!, points[i + 1]!, widthPx);
    }
  }

  /** Adds a rectangle whose corners are rounded by `radiusPx`. */
  addRectangle(x0: number, y0: number, x1: number, y1: number, radiusPx = 0): void {
    const left = Math.max(Math.floor(x0), 0);
    const top = Math.max(Math.floor(y0), 0);
    const right = Math.min(Math.ceil(x1), this.width);
    const bottom = Math.min(Math.ceil(y1), this.height);
    if (!(left < right && top < bottom)) return;
    this.include(left, top, right, bottom);
    const radius = Math.min(radiusPx, (x1 - x0) / 2, (y1 - y0) / 2);
    const centerX = (x0 + x1) / 2;
    const centerY = (y0 + y1) / 2;
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const dx = Math.abs(x + 0.5 - centerX) - (x1 - x0) / 2 + radius;
        const dy = Math.abs(y + 0.5 - centerY) - (y1 - y0) / 2 + radius;
        const outside = Math.sqrt(Math.max(dx, 0) ** 2 + Math.max(dy, 0) ** 2) + Math.min(Math.max(dx, dy), 0) - radius;
        const covered = Math.min(0.5 - outside, 1);
        const at = y * this.width + x;
        if (covered > this.coverage[at]!) this.coverage[at] = covered;
      }
    }
  }

  /** Adds the pixels of a mask that lies at (left, top), rows of `maskWidth` bytes. */
  addMask(mask: Uint8Array, maskWidth: number, left: number, top: number): void {
    const rows = mask.length / maskWidth;
    this.include(left, top, left + maskWidth, top + rows);
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < maskWidth; x++) {
        if (mask[y * maskWidth + x] !== 0) this.coverage[(top + y) * this.width + left + x] = 1;
      }
    }
  }

  /** Paints the figure and starts a new one. @param opacity 0 to 1 */
  paint(color: RgbColor, opacity = 1): void {
    const { data, coverage, width } = this;
    const [red, green, blue] = color;
    for (let y = this.top; y < this.bottom; y++) {
      for (let x = this.left; x < this.right; x++) {
        const share = coverage[y * width + x]! * opacity;
        if (share <= 0) continue;
        const at = (y * width + x) * 3;
        data[at] = Math.round(data[at]! + share * (red - data[at]!));
        data[at + 1] = Math.round(data[at + 1]! + share * (green - data[at + 1]!));
        data[at + 2] = Math.round(data[at + 2]! + share * (blue - data[at + 2]!));
      }
      coverage.fill(0, y * width + this.left, y * width + this.right);
    }
    this.right = 0;
    this.bottom = 0;
  }

  private include(left: number, top: number, right: number, bottom: number): void {
    const isEmpty = this.right === 0;
    this.left = isEmpty ? left : Math.min(this.left, left);
    this.top = isEmpty ? top : Math.min(this.top, top);
    this.right = Math.max(this.right, right);
    this.bottom = Math.max(this.bottom, bottom);
  }
}
