// One object of the shapes that a drawing tool has for it: its box, its mask, its area.
import type { BoxXywh } from '../boxes/box.js';
import { boxXywh } from '../boxes/box.js';
import { boxAround } from '../boxes/measure-box.js';
import { polygonsToRle } from '../masks/polygon-to-rle.js';
import { type MaskSize, type Polygon, type Rle, rleArea } from '../masks/rle.js';
import { mergeRles } from '../masks/rle-merge.js';
import { rleToBbox } from '../masks/rle-to-bbox.js';
import type { Annotation, Segmentation } from './dataset.js';

export type ObjectPart =
  | { readonly kind: 'box'; readonly box: BoxXywh }
  | { readonly kind: 'polygon'; readonly polygon: Polygon }
  /** Of the whole picture. */
  | { readonly kind: 'mask'; readonly rle: Rle };

/**
 * The object that has all of the parts, of which there is at least one: the box around them; a mask where not all are boxes, of polygons
 * where none is a mask.
 * @param size of the picture
 * @throws InputError where a polygon cannot be drawn
 */
export function objectOfParts(
  parts: readonly ObjectPart[],
  size: MaskSize,
): Pick<Annotation, 'bbox' | 'area' | 'segmentation'> {
  const bbox = parts.map(boxOf).reduce(around);
  if (parts.every(({ kind }) => kind === 'box')) return { bbox, area: bbox[2] * bbox[3] };
  const polygons = parts.flatMap((part) => (part.kind === 'mask' ? [] : [outlineOf(part)]));
  const masks = parts.flatMap((part) => (part.kind === 'mask' ? [part.rle] : []));
  const drawn = polygons.length === 0 ? [] : [polygonsToRle(polygons, size)];
  const rle = mergeRles([...masks, ...drawn], 'union');
  const segmentation: Segmentation = masks.length === 0 ? { kind: 'polygons', polygons } : { kind: 'rle', rle };
  return { bbox, area: rleArea(rle), segmentation };
}

/** The corners of a box, or of one that is turned by so many degrees, clockwise in a picture, around its middle. */
export function boxOutline([x, y, width, height]: BoxXywh, degrees = 0): Polygon {
  const corners = [x, y, x + width, y, x + width, y + height, x, y + height];
  if (degrees === 0) return corners;
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const [cx, cy] = [x + width / 2, y + height / 2];
  return corners.flatMap((_, i) => {
    if (i % 2 === 1) return [];
    const [dx, dy] = [corners[i]! - cx, corners[i + 1]! - cy];
    return [cx + dx * cos - dy * sin, cy + dx * sin + dy * cos];
  });
}

export interface Ellipse {
  readonly cx: number;
  readonly cy: number;
  readonly rx: number;
  readonly ry: number;
  /** Clockwise in a picture. */
  readonly degrees?: number;
}

/** An ellipse as a polygon whose corners are about two pixels apart, 12 to 360 of them. */
export function ellipseOutline({ cx, cy, rx, ry, degrees = 0 }: Ellipse): Polygon {
  const corners = Math.min(360, Math.max(12, Math.ceil(Math.PI * Math.max(rx, ry))));
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  return Array.from({ length: corners }, (_, i) => (2 * Math.PI * i) / corners).flatMap((angle) => {
    const [dx, dy] = [rx * Math.cos(angle), ry * Math.sin(angle)];
    return [cx + dx * cos - dy * sin, cy + dx * sin + dy * cos];
  });
}

function outlineOf(part: Exclude<ObjectPart, { kind: 'mask' }>): Polygon {
  return part.kind === 'box' ? boxOutline(part.box) : part.polygon;
}

function boxOf(part: ObjectPart): BoxXywh {
  if (part.kind === 'box') return part.box;
  return part.kind === 'polygon' ? boxAround(part.polygon) : rleToBbox(part.rle);
}

function around(a: BoxXywh, b: BoxXywh): BoxXywh {
  const [left, top] = [Math.min(a[0], b[0]), Math.min(a[1], b[1])];
  return boxXywh(left, top, Math.max(a[0] + a[2], b[0] + b[2]) - left, Math.max(a[1] + a[3], b[1] + b[3]) - top);
}
