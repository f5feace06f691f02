// Many pictures on one: thumbnails in rows with their names below, small enough to be looked at whole.
import { drawCaption, type RgbImage } from '@goshawk/core';
import sharp from 'sharp';
import { nodeCanvas } from '../drawing/index.js';

/** Pictures beyond this many are not taken: a sheet of more is too large to look at. */
const SHEET_LIMIT = 200;
const THUMBNAIL_PX = 240;
const GAP_PX = 8;
const FEWEST_COLUMNS = 6;

interface Tile {
  readonly png: Buffer;
  readonly width: number;
  readonly height: number;
}

export class ContactSheet {
  readonly #tiles: Tile[] = [];
  readonly #limit: number;

  /** @param limit pictures taken at most; default 200 */
  constructor({ limit = SHEET_LIMIT }: { readonly limit?: number } = {}) {
    this.#limit = limit;
  }

  /** How many pictures are on the sheet. */
  get count(): number {
    return this.#tiles.length;
  }

  /** Puts a picture on the sheet while there is room. */
  async add(image: RgbImage, caption: string): Promise<void> {
    if (this.#tiles.length >= this.#limit) return;
    const thumbnail = await sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } })
      .resize({ width: THUMBNAIL_PX, height: THUMBNAIL_PX, fit: 'inside' })
      .png()
      .toBuffer({ resolveWithObject: true });
    const label = drawCaption(caption, { width: THUMBNAIL_PX, canvas: nodeCanvas });
    const { width, height } = thumbnail.info;
    const size = { width: THUMBNAIL_PX, height: height + label.height };
    const png = await sharp({ create: { ...size, channels: 3, background: '#ffffff' } })
      .composite([
        { input: thumbnail.data, left: Math.floor((THUMBNAIL_PX - width) / 2), top: 0 },
        {
          input: Buffer.from(label.data),
          raw: { width: label.width, height: label.height, channels: 3 },
          left: 0,
          top: height,
        },
      ])
      .png()
      .toBuffer();
    this.#tiles.push({ png, ...size });
  }

  /** The sheet as PNG; each row is as high as its highest picture. */
  encode(): Promise<Buffer> {
    const count = this.#tiles.length;
    const columns = Math.max(1, Math.min(count, Math.max(FEWEST_COLUMNS, Math.ceil(Math.sqrt(count)))));
    const placed: { input: Buffer; left: number; top: number }[] = [];
    let top = GAP_PX;
    for (let start = 0; start < count; start += columns) {
      const row = this.#tiles.slice(start, start + columns);
      row.forEach(({ png }, column) => {
        placed.push({ input: png, left: GAP_PX + column * (THUMBNAIL_PX + GAP_PX), top });
      });
      top += Math.max(...row.map(({ height }) => height)) + GAP_PX;
    }
    const size = { width: columns * (THUMBNAIL_PX + GAP_PX) + GAP_PX, height: top };
    return sharp({ create: { ...size, channels: 3, background: '#ffffff' } })
      .composite(placed)
      .removeAlpha()
      .png()
      .toBuffer();
  }
}
