// Detections or annotations drawn on their picture: masks, boxes, keypoints and labels.
import { InputError } from '../errors/index.js';
import type { Category, Segmentation } from '../formats/dataset.js';
import type { RgbImage } from '../geometry/image.js';
import { drawKeypoints, keypointExtent } from './draw-keypoints.js';
import { drawMask, type MaskPatch, maskPatch } from './draw-mask.js';
import { placeLabel, type Rectangle } from './label-layout.js';
import { distinctColor, type RgbColor, readableOn } from './palette.js';
import { Surface, type SurfaceMemory, surfaceMemory } from './surface.js';
import { fitText, lineHeight, type TextRenderer } from './text-renderer.js';

/** What is drawn: a `Detection`, or an `Annotation` (which has no score). */
export interface DrawnItem {
  readonly categoryId: number;
  readonly score?: number;
  /** `[x, y, width, height]`, image pixels. */
  readonly bbox?: readonly [number, number, number, number];
  readonly segmentation?: Segmentation;
  /** `[x, y, v, ...]`; points with v = 0 are not drawn. */
  readonly keypoints?: readonly number[];
  /** Of the frames of a film: the object that it is, a number from 1, with a colour of its own and `#number` in its label. */
  readonly trackId?: number;
}

export interface DrawOptions {
  /** Names, skeletons and the order of the colours. */
  readonly categories: readonly Category[];
  /** What names and scores are drawn with; none are drawn without. */
  readonly text?: TextRenderer;
  /**
   * Each category or each object has its colour; `track` gives an object the same one in every picture. Default `instance` where all are
   * of one category, else `category`; `track` where one of them has a track.
   */
  readonly colorBy?: 'category' | 'instance' | 'track';
  /** Default true. */
  readonly showBoxes?: boolean;
  readonly showMasks?: boolean;
  readonly showKeypoints?: boolean;
  readonly showLabels?: boolean;
  /** Scores stand in the labels of items that have one. Default true. */
  readonly showScores?: boolean;
  /** Of the masks' tint, 0 to 1. Default 0.42. */
  readonly maskOpacity?: number;
  /** Of boxes and outlines, pixels. Default by the picture's size: 1 pixel for each 240 of the shorter side, rounded. */
  readonly lineWidthPx?: number;
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

/** Draws as {@link drawDetections} does, on the pictures themselves; memory is kept from one to the next of the same size. */
export class DetectionPainter {
  readonly #options: DrawOptions;
  readonly #categories: ReadonlyMap<number, { readonly category: Category; readonly index: number }>;
  #memory: { readonly pixels: number; readonly surface: SurfaceMemory } | undefined;

  constructor(options: DrawOptions) {
    this.#options = options;
    this.#categories = new Map(options.categories.map((category, index) => [category.id, { category, index }]));
  }

  /** @throws InputError where a mask is not of the picture's size */
  paint(image: RgbImage, items: readonly DrawnItem[]): void {
    const { showMasks = true, showBoxes = true, showKeypoints = true, showLabels = true } = this.#options;
    const { showScores = true, maskOpacity = 0.42 } = this.#options;
    if (items.length === 0) return;
    const surface = new Surface(image, this.#memoryFor(image));
    const shorter = Math.min(image.width, image.height);
    const lineWidth = this.#options.lineWidthPx ?? Math.max(1, Math.round(shorter / 240));
    const drawn = this.#prepare(image, items);
    const byArea = [...drawn].sort((a, b) => area(b.extent) - area(a.extent));

    if (showMasks) {
      for (const { patch, color } of byArea) {
        if (patch !== undefined) drawMask(surface, patch, color, maskOpacity, Math.max(lineWidth * 0.75, 1.25));
      }
    }
    if (showBoxes) {
      for (const { item, color } of byArea) if (isDrawable(item.bbox)) drawBox(surface, item.bbox, color, lineWidth);
    }
    if (showKeypoints) {
      for (const { item, category, color } of byArea) {
        if (item.keypoints !== undefined) drawKeypoints(surface, item.keypoints, category, color, lineWidth);
      }
    }
    const { text } = this.#options;
    if (showLabels && text) drawLabels(surface, drawn, { text, showScores, lineWidth });
  }

  #prepare(image: RgbImage, items: readonly DrawnItem[]): Prepared[] {
    const isOneCategory = items.every(({ categoryId }) => categoryId === items[0]?.categoryId);
    const hasTracks = items.some(({ trackId }) => trackId !== undefined);
    const colorBy = this.#options.colorBy ?? (hasTracks ? 'track' : isOneCategory ? 'instance' : 'category');
    return items.map((item, i) => {
      const known = this.#categories.get(item.categoryId);
      const ofCategory = known?.index ?? Math.abs(item.categoryId);
      const ofTrack = item.trackId === undefined ? ofCategory : item.trackId - 1;
      const color = distinctColor({ instance: i, category: ofCategory, track: ofTrack }[colorBy]);
      // Masks that are not drawn still say where an item is that has no box.
      const isNeeded = (this.#options.showMasks ?? true) || !isDrawable(item.bbox);
      const patch = item.segmentation === undefined || !isNeeded ? undefined : patchOf(item.segmentation, image);
      return { item, category: known?.category, color, patch, extent: extentOf(item, patch) };
    });
  }

  #memoryFor(image: RgbImage): SurfaceMemory {
    const pixels = image.width * image.height;
    if (this.#memory?.pixels !== pixels) this.#memory = { pixels, surface: surfaceMemory(image) };
    return this.#memory.surface;
  }
}

interface Prepared {
  readonly item: DrawnItem;
  readonly category: Category | undefined;
  readonly color: RgbColor;
  readonly patch: MaskPatch | undefined;
  readonly extent: Rectangle | undefined;
}

function patchOf(segmentation: Segmentation, image: RgbImage): MaskPatch | undefined {
  if (segmentation.kind === 'rle') {
    const [height, width] = segmentation.rle.size;
    if (height !== image.height || width !== image.width) {
      throw new InputError(
        'annotation-invalid',
        `drawDetections: a mask is ${width} x ${height}, but the picture is ${image.width} x ${image.height}: draw it on its own picture`,
      );
    }
  }
  return maskPatch(segmentation, [image.height, image.width]);
}

// The box, or that of the mask or keypoints where there is none.
function extentOf(item: DrawnItem, patch: MaskPatch | undefined): Rectangle | undefined {
  if (isDrawable(item.bbox)) return { x: item.bbox[0], y: item.bbox[1], width: item.bbox[2], height: item.bbox[3] };
  if (patch !== undefined) return { x: patch.left, y: patch.top, width: patch.width, height: patch.height };
  return item.keypoints === undefined ? undefined : keypointExtent(item.keypoints);
}

function isDrawable(box: DrawnItem['bbox']): box is NonNullable<DrawnItem['bbox']> {
  return box?.every(Number.isFinite) ?? false;
}

function area(extent: Rectangle | undefined): number {
  return extent === undefined ? 0 : extent.width * extent.height;
}

// Borders on whole pixels are crisp; they lie inside the box.
function drawBox(surface: Surface, box: NonNullable<DrawnItem['bbox']>, color: RgbColor, lineWidth: number): void {
  // Far outside of the picture nothing shows, and huge numbers lose their fractions.
  const limit = (value: number, side: number) =>
    Math.round(Math.min(Math.max(value, -lineWidth - 1), side + lineWidth + 1));
  const x0 = limit(box[0], surface.width);
  const y0 = limit(box[1], surface.height);
  const x1 = Math.max(limit(box[0] + box[2], surface.width), x0 + 1);
  const y1 = Math.max(limit(box[1] + box[3], surface.height), y0 + 1);
  surface.fillRectangle(x0, y0, x1, Math.min(y0 + lineWidth, y1), color);
  surface.fillRectangle(x0, Math.max(y1 - lineWidth, y0), x1, y1, color);
  surface.fillRectangle(x0, y0, Math.min(x0 + lineWidth, x1), y1, color);
  surface.fillRectangle(Math.max(x1 - lineWidth, x0), y0, x1, y1, color);
}

/** As high as fits names beside objects: a 40th of the picture, and never too small to be read. */
function labelSize({ width, height }: Pick<RgbImage, 'width' | 'height'>): number {
  return Math.max(SMALLEST_LABEL, Math.round(Math.min(width, height) / 40));
}

const SMALLEST_LABEL = 11;

interface LabelStyle {
  readonly text: TextRenderer;
  readonly showScores: boolean;
  readonly lineWidth: number;
}

function drawLabels(surface: Surface, drawn: readonly Prepared[], { text, showScores, lineWidth }: LabelStyle): void {
  const size = labelSize(surface);
  const padding = Math.round(size / 5);
  const height = lineHeight(size);
  if (height > surface.height) return;
  const placed: Rectangle[] = [];
  const paints: (() => void)[] = [];
  for (const { item, category, color, extent } of drawn) {
    if (extent === undefined) continue;
    const name = category?.name ?? `category ${item.categoryId}`;
    const track = item.trackId === undefined ? '' : ` #${item.trackId}`;
    const score = showScores && item.score !== undefined ? ` ${item.score.toFixed(2)}` : '';
    const most = surface.width - 2 * padding - text.width(track + score, size);
    const line = text.line(fitText(text, name, size, most) + track + score, size);
    const width = line.width + 2 * padding;
    if (width > surface.width) continue;
    const place = placeLabel(extent, { width, height }, surface, placed);
    placed.push(place);
    paints.push(() => {
      surface.addRectangle(place.x, place.y, place.x + width, place.y + height, lineWidth > 1 ? lineWidth : 0);
      surface.paint(color, 0.92);
      surface.addCoverage(line, Math.round(place.x) + padding, Math.round(place.y));
      surface.paint(readableOn(color));
    });
  }
  // The first, which are the best, had the first choice of place and end on top.
  for (const paint of paints.reverse()) paint();
}
