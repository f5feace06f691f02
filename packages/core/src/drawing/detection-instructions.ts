// Detections or annotations as what is drawn of them: masks, boxes, keypoints and labels.
import { InputError } from '../errors/index.js';
import type { Category, Segmentation } from '../formats/dataset.js';
import type {
  BoxInstruction,
  DrawInstruction,
  LabelInstruction,
  MaskInstruction,
  Rectangle,
  SkeletonInstruction,
} from './instructions.js';
import { leaderOf, placeLabel } from './label-layout.js';
import { type MaskOutlines, maskOutlines } from './mask-outlines.js';
import { distinctColor, type RgbColor, readableOn } from './palette.js';
import { keypointExtent, skeletonOf } from './skeleton.js';
import { baseline, fitText, lineHeight, type TextMeasure } from './text-measure.js';

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

export interface DrawStyle {
  /** Names, skeletons and the order of the colours. */
  readonly categories: readonly Category[];
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
  /** Scores stand in the labels of items that have one, where there is room for them. Default true. */
  readonly showScores?: boolean;
  /** Of the masks' tint, 0 to 1. Default 0.42. */
  readonly maskOpacity?: number;
  /** Of boxes and outlines, pixels. Default by the picture's size: 1 pixel for each 240 of the shorter side, rounded. */
  readonly lineWidthPx?: number;
}

export interface InstructionOptions extends DrawStyle {
  /** Of the picture, pixels. */
  readonly width: number;
  readonly height: number;
  /** Of the font that draws the labels: `canvasMeasure(context)`. */
  readonly measure: TextMeasure;
}

/**
 * What is drawn for these items, the first of the list below: all masks, boxes, skeletons, labels, each kind with larger items below
 * smaller ones, but labels of earlier items above those of later ones.
 * @throws InputError where a mask is not of the picture's size
 */
export function detectionInstructions(items: readonly DrawnItem[], options: InstructionOptions): DrawInstruction[] {
  const { showMasks = true, showBoxes = true, showKeypoints = true, showLabels = true } = options;
  const shorter = Math.min(options.width, options.height);
  const lineWidth = options.lineWidthPx ?? Math.max(1, Math.round(shorter / 240));
  const outlinePx = Math.max(lineWidth * 0.75, 1.25);
  const drawn = prepare(items, options, outlinePx);
  const byArea = [...drawn].sort((a, b) => area(b.extent) - area(a.extent));
  return [
    ...(showMasks ? byArea.flatMap((one) => maskOf(one, options.maskOpacity ?? 0.42, outlinePx)) : []),
    ...(showBoxes ? byArea.flatMap((one) => boxOf(one, options, lineWidth)) : []),
    ...(showKeypoints ? byArea.flatMap((one) => keypointsOf(one, lineWidth)) : []),
    ...(showLabels ? labelsOf(drawn, options, lineWidth) : []),
  ];
}

interface Prepared {
  readonly item: DrawnItem;
  readonly category: Category | undefined;
  readonly color: RgbColor;
  readonly mask: MaskOutlines | undefined;
  readonly extent: Rectangle | undefined;
}

function prepare(items: readonly DrawnItem[], options: InstructionOptions, outlinePx: number): Prepared[] {
  const { categories, showMasks = true } = options;
  const byId = new Map(categories.map((category, index) => [category.id, { category, index }]));
  const isOneCategory = items.every(({ categoryId }) => categoryId === items[0]?.categoryId);
  const hasTracks = items.some(({ trackId }) => trackId !== undefined);
  const colorBy = options.colorBy ?? (hasTracks ? 'track' : isOneCategory ? 'instance' : 'category');
  return items.map((item, i) => {
    const known = byId.get(item.categoryId);
    const ofCategory = known?.index ?? Math.abs(item.categoryId);
    const ofTrack = item.trackId === undefined ? ofCategory : item.trackId - 1;
    const color = distinctColor({ instance: i, category: ofCategory, track: ofTrack }[colorBy]);
    // Masks that are not drawn still say where an item is that has no box.
    const isNeeded = item.segmentation !== undefined && (showMasks || !isDrawable(item.bbox));
    const mask = isNeeded ? outlinesOf(item.segmentation!, options, outlinePx) : undefined;
    return { item, category: known?.category, color, mask, extent: extentOf(item, mask) };
  });
}

function outlinesOf(
  segmentation: Segmentation,
  picture: Pick<InstructionOptions, 'width' | 'height'>,
  outlinePx: number,
) {
  if (segmentation.kind === 'rle') {
    const [height, width] = segmentation.rle.size;
    if (height !== picture.height || width !== picture.width) {
      throw new InputError(
        'annotation-invalid',
        `drawDetections: a mask is ${width} x ${height}, but the picture is ${picture.width} x ${picture.height}: draw it on its own picture`,
      );
    }
  }
  return maskOutlines(segmentation, [picture.height, picture.width], outlinePx);
}

// The box, or that of the mask or keypoints where there is none.
function extentOf(item: DrawnItem, mask: MaskOutlines | undefined): Rectangle | undefined {
  if (isDrawable(item.bbox)) return { x: item.bbox[0], y: item.bbox[1], width: item.bbox[2], height: item.bbox[3] };
  if (mask !== undefined) return mask.extent;
  return item.keypoints === undefined ? undefined : keypointExtent(item.keypoints);
}

function isDrawable(box: DrawnItem['bbox']): box is NonNullable<DrawnItem['bbox']> {
  return box?.every(Number.isFinite) ?? false;
}

function area(extent: Rectangle | undefined): number {
  return extent === undefined ? 0 : extent.width * extent.height;
}

function maskOf({ mask, color }: Prepared, opacity: number, outlinePx: number): MaskInstruction[] {
  if (mask === undefined) return [];
  return [{ kind: 'mask', color, opacity, outlines: mask.outlines, outlinePx }];
}

// Borders on whole pixels are crisp.
function boxOf(
  { item: { bbox }, color }: Prepared,
  picture: Pick<InstructionOptions, 'width' | 'height'>,
  widthPx: number,
): BoxInstruction[] {
  if (!isDrawable(bbox)) return [];
  // Far outside of the picture nothing shows, and huge numbers lose their fractions.
  const limit = (value: number, side: number) =>
    Math.round(Math.min(Math.max(value, -widthPx - 1), side + widthPx + 1));
  const x = limit(bbox[0], picture.width);
  const y = limit(bbox[1], picture.height);
  const width = Math.max(limit(bbox[0] + bbox[2], picture.width) - x, 1);
  const height = Math.max(limit(bbox[1] + bbox[3], picture.height) - y, 1);
  return [{ kind: 'box', x, y, width, height, color, widthPx }];
}

function keypointsOf({ item, category, color }: Prepared, lineWidth: number): SkeletonInstruction[] {
  const skeleton = item.keypoints && skeletonOf(item.keypoints, category, color, lineWidth * 1.25);
  return skeleton ? [skeleton] : [];
}

/** As high as fits names beside objects: a 40th of the picture, and never too small to be read. */
function labelSize({ width, height }: Pick<InstructionOptions, 'width' | 'height'>): number {
  return Math.max(READABLE_LABEL, Math.round(Math.min(width, height) / 40));
}

const READABLE_LABEL = 11;
const SMALLEST_LABEL = 9;
/** Of the picture: more covered by labels, and little is left to see. */
const MOST_COVERED = 0.3;

interface Wording {
  readonly text: string;
  readonly width: number;
}

interface LabelRow {
  readonly sizePx: number;
  readonly padding: number;
  readonly height: number;
  /** For each item; undefined where not even its number fits. */
  readonly wordings: readonly (Wording | undefined)[];
}

function wordingsOf(
  drawn: readonly Prepared[],
  options: InstructionOptions,
  sizePx: number,
  hasScores: boolean,
): LabelRow {
  const { measure } = options;
  const padding = Math.round(sizePx / 5);
  const wordings = drawn.map(({ item, category }): Wording | undefined => {
    const name = category?.name ?? `category ${item.categoryId}`;
    const track = item.trackId === undefined ? '' : ` #${item.trackId}`;
    const score = hasScores && item.score !== undefined ? ` ${item.score.toFixed(2)}` : '';
    const most = options.width - 2 * padding - measure(track + score, sizePx);
    const text = fitText(measure, name, sizePx, most) + track + score;
    const width = measure(text, sizePx) + 2 * padding;
    return width <= options.width ? { text, width } : undefined;
  });
  return { sizePx, padding, height: lineHeight(sizePx), wordings };
}

/** Where full labels would hide a small picture, those without scores, and then smaller ones. */
function chooseWordings(drawn: readonly Prepared[], options: InstructionOptions): LabelRow {
  const hasScores = options.showScores ?? true;
  const size = labelSize(options);
  const isTooMuch = ({ wordings, height }: LabelRow): boolean =>
    wordings.reduce((sum, wording) => sum + (wording?.width ?? 0), 0) * height >
    MOST_COVERED * options.width * options.height;
  const full = wordingsOf(drawn, options, size, hasScores);
  if (!isTooMuch(full)) return full;
  const names = wordingsOf(drawn, options, size, false);
  return isTooMuch(names) && size > SMALLEST_LABEL && size <= READABLE_LABEL
    ? wordingsOf(drawn, options, SMALLEST_LABEL, false)
    : names;
}

function labelsOf(drawn: readonly Prepared[], options: InstructionOptions, lineWidth: number): LabelInstruction[] {
  const { sizePx, padding, height, wordings } = chooseWordings(drawn, options);
  if (height > options.height) return [];
  const placed: Rectangle[] = [];
  const labels: LabelInstruction[] = [];
  for (const [i, { color, extent }] of drawn.entries()) {
    const wording = wordings[i];
    if (extent === undefined || wording === undefined) continue;
    const { text, width } = wording;
    const place = placeLabel(extent, { width, height }, options, placed);
    placed.push(place);
    const leader = leaderOf(place, extent);
    labels.push({
      kind: 'label',
      text,
      sizePx,
      place,
      radiusPx: lineWidth > 1 ? lineWidth : 0,
      start: [place.x + padding, place.y + baseline(sizePx)],
      color: readableOn(color),
      background: color,
      ...(leader && { leader: { ...leader, widthPx: lineWidth } }),
    });
  }
  // The first, which are the best, had the first choice of place and end on top.
  return labels.reverse();
}
