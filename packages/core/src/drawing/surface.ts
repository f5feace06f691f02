// A small rasteriser: lines, discs and rectangles with soft edges on an RGB picture. A figure is first gathered as
// coverage, so that its joints and crossings do not show, and then painted at once.
import type { RgbImage } from '../geometry/image.js';
import type { RgbColor } from './palette.js';
import type { TextLine } from './text-renderer.js';

/** What a surface works with besides the picture: nothing is covered between two figures. */
export interface SurfaceMemory {
  readonly coverage: Float32Array;
  readonly touched: Int32Array;
}

export function surfaceMemory({ width, height }: Pick<RgbImage, 'width' | 'height'>): SurfaceMemory {
  return { coverage: new Float32Array(width * height), touched: new Int32Array(width * height) };
}

export class Surface {
  readonly width: number;
  readonly height: number;
  /** RGB bytes, rows first. */
  readonly data: Uint8Array;
  private readonly coverage: Float32Array;
  /** Pixels that the figure covers, in the order they were reached: the first `count` of the list. */
  private readonly touched: Int32Array;
  private count = 0;

  /** Works on the picture itself. @param memory of an earlier surface, to be used again */
  constructor(image: RgbImage, memory: SurfaceMemory = surfaceMemory(image)) {
    this.width = image.width;
    this.height = image.height;
    this.data = image.data;
    this.coverage = memory.coverage;
    this.touched = memory.touched;
  }

  /** Adds a line with round ends to the figure; a line of no length is a disc. Pixel (0, 0) covers 0..1 on both axes. */
  addLine(x0: number, y0: number, x1: number, y1: number, widthPx: number): void {
    const { width } = this;
    const half = widthPx / 2;
    const reach = half + 0.5;
    const left = Math.max(Math.floor(Math.min(x0, x1) - reach), 0);
    const top = Math.max(Math.floor(Math.min(y0, y1) - reach), 0);
    const right = Math.min(Math.ceil(Math.max(x0, x1) + reach), width);
    const bottom = Math.min(Math.ceil(Math.max(y0, y1) + reach), this.height);
    if (!(left < right && top < bottom)) return;
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
        if (covered > 0) this.cover(y * width + x, covered);
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
    const radius = Math.min(radiusPx, (x1 - x0) / 2, (y1 - y0) / 2);
    const centerX = (x0 + x1) / 2;
    const centerY = (y0 + y1) / 2;
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const dx = Math.abs(x + 0.5 - centerX) - (x1 - x0) / 2 + radius;
        const dy = Math.abs(y + 0.5 - centerY) - (y1 - y0) / 2 + radius;
        const outside = Math.sqrt(Math.max(dx, 0) ** 2 + Math.max(dy, 0) ** 2) + Math.min(Math.max(dx, dy), 0) - radius;
        const covered = Math.min(0.5 - outside, 1);
        if (covered > 0) this.cover(y * this.width + x, covered);
      }
    }
  }

  /** Adds what is covered by a line of text, or by anything else, whose upper left corner is at a whole pixel. */
  addCoverage({ coverage, width, height }: TextLine, left: number, top: number): void {
    for (let y = Math.max(0, -top); y < Math.min(height, this.height - top); y++) {
      for (let x = Math.max(0, -left); x < Math.min(width, this.width - left); x++) {
        const covered = coverage[y * width + x]!;
        if (covered > 0) this.cover((top + y) * this.width + left + x, covered / 255);
      }
    }
  }

  /** Paints the figure and starts a new one. @param opacity 0 to 1 */
  paint(color: RgbColor, opacity = 1): void {
    const { data, coverage, touched } = this;
    const [red, green, blue] = color;
    for (let i = 0; i < this.count; i++) {
      const pixel = touched[i]!;
      const share = coverage[pixel]! * opacity;
      const at = pixel * 3;
      data[at] = Math.round(data[at]! + share * (red - data[at]!));
      data[at + 1] = Math.round(data[at + 1]! + share * (green - data[at + 1]!));
      data[at + 2] = Math.round(data[at + 2]! + share * (blue - data[at + 2]!));
      coverage[pixel] = 0;
    }
    this.count = 0;
  }

  /** Paints a rectangle between whole pixels at once, whatever figure is being gathered. */
  fillRectangle(x0: number, y0: number, x1: number, y1: number, [red, green, blue]: RgbColor): void {
    const { data, width } = this;
    const left = Math.max(x0, 0);
    const right = Math.min(x1, width);
    const bottom = Math.min(y1, this.height);
    for (let y = Math.max(y0, 0); y < bottom; y++) {
      for (let at = (y * width + left) * 3; at < (y * width + right) * 3; at += 3) {
        data[at] = red;
        data[at + 1] = green;
        data[at + 2] = blue;
      }
    }
  }

  /** Paints the pixels of a mask that lies at (left, top), rows of `maskWidth` bytes, at once. @param opacity 0 to 1 */
  tintMask(mask: Uint8Array, maskWidth: number, left: number, top: number, color: RgbColor, opacity: number): void {
    const { data, width } = this;
    const [red, green, blue] = color.map((value) => tintsOf(value, opacity)) as [Uint8Array, Uint8Array, Uint8Array];
    const rows = mask.length / maskWidth;
    for (let y = 0; y < rows; y++) {
      let at = ((top + y) * width + left) * 3;
      const end = (y + 1) * maskWidth;
      for (let i = y * maskWidth; i < end; i++, at += 3) {
        if (mask[i] === 0) continue;
        data[at] = red[data[at]!]!;
        data[at + 1] = green[data[at + 1]!]!;
        data[at + 2] = blue[data[at + 2]!]!;
      }
    }
  }

  private cover(pixel: number, share: number): void {
    const before = this.coverage[pixel]!;
    if (share <= before) return;
    if (before === 0) this.touched[this.count++] = pixel;
    this.coverage[pixel] = share;
  }
}

/** What a channel of each value becomes under a colour's. */
function tintsOf(value: number, opacity: number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, before) => Math.round(before + opacity * (value - before)));
}
