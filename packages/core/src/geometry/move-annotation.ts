// An annotated object in a picture that is moved and cut: its box, mask and keypoints by the same map.
import { type BoxXyxy, boxXyxy, xywhToXyxy, xyxyToXywh } from '../boxes/box.js';
import { clipBox } from '../boxes/transform-box.js';
import type { Annotation, Segmentation } from '../formats/dataset.js';
import { rleArea } from '../masks/rle.js';
import { rleToBbox } from '../masks/rle-to-bbox.js';
import { wholeWindow } from './pixel-window.js';
import { depthOf, isIdentity, isMirrored, keepsAxes, mapPoint, ofPixelCentres, type PlanarMap } from './planar-map.js';
import { polygonInWindow } from './polygon-in-window.js';
import { mapPolygon, polygonArea } from './polygon-under-map.js';
import { warpMask } from './warp-mask.js';

export interface MoveOptions {
  /** Of the picture that results, pixels. */
  readonly width: number;
  readonly height: number;
  /** For each keypoint the one that it becomes in a mirrored picture, from `keypointFlipOrder`. */
  readonly keypointFlipOrder: readonly number[];
  /** Polygons and keypoints name pixel centres (Detectron), so that mirrored x is width - 1 - x. Default false: continuous. */
  readonly pixelCentres?: boolean;
}

export interface MovedAnnotation {
  readonly annotation: Annotation;
  /** The share of the object that is still in the picture, 0..1: of its mask where it has one, else of its box. */
  readonly visible: number;
}

/**
 * The object in the moved picture, or undefined where nothing of it is there.
 *
 * Its box is the box of its mask wherever the picture is turned, sheared or foreshortened or the object is cut, and it
 * has a mask; else the box about where the corners of its own box go, clipped to the picture. Keypoints that leave the
 * picture become 0, 0, 0; others stay as labelled and as hidden as they were. A mirrored picture exchanges their sides.
 * The area changes as the mask's does, or the box's.
 */
export function moveAnnotation(
  annotation: Annotation,
  map: PlanarMap,
  options: MoveOptions,
): MovedAnnotation | undefined {
  const size = { width: options.width, height: options.height };
  const own = xywhToXyxy(annotation.bbox);
  const corners = boxAround(mapPolygon([own[0], own[1], own[2], own[1], own[2], own[3], own[0], own[3]], map));
  if (corners === undefined) return undefined;
  const inside = clipBox(corners, size);
  if (!hasArea(inside)) return undefined;
  const isCut = !inside.every((value, i) => Math.abs(value - corners[i]!) < 1e-9);
  const mask = annotation.segmentation && moveMask(annotation.segmentation, map, options);
  if (annotation.segmentation !== undefined && mask === undefined) return undefined;
  const isRedrawn = mask !== undefined && (isCut || !keepsAxes(map));
  const box = isRedrawn ? mask.box : inside;
  if (!hasArea(box)) return undefined;
  const visible = mask?.visible ?? boxArea(inside) / boxArea(corners);
  const growth = mask?.growth ?? boxArea(inside) / boxArea(own);
  const keypoints = annotation.keypoints && moveKeypoints(annotation.keypoints, map, options);
  return {
    annotation: {
      ...annotation,
      bbox: isIdentity(map) && !isCut ? annotation.bbox : xyxyToXywh(box),
      area: annotation.area * growth,
      ...(mask && { segmentation: mask.segmentation }),
      ...(keypoints && { keypoints, numKeypoints: keypoints.filter((value, i) => i % 3 === 2 && value > 0).length }),
    },
    visible: Math.min(visible, 1),
  };
}

interface MaskMove {
  readonly segmentation: Segmentation;
  /** Clipped to the picture. */
  readonly box: BoxXyxy;
  readonly visible: number;
  /** Its area now and before. */
  readonly growth: number;
}

/** Undefined where nothing of the mask is left. */
function moveMask(segmentation: Segmentation, map: PlanarMap, options: MoveOptions): MaskMove | undefined {
  if (segmentation.kind === 'rle') {
    const { rle, visible } = warpMask(segmentation.rle, map, options);
    const area = rleArea(rle);
    if (area === 0) return undefined;
    const box = xywhToXyxy(rleToBbox(rle));
    return { segmentation: { kind: 'rle', rle }, box, visible, growth: area / rleArea(segmentation.rle) };
  }
  return movePolygons(segmentation.polygons, map, options);
}

function movePolygons(
  polygons: readonly (readonly number[])[],
  map: PlanarMap,
  { width, height, pixelCentres }: MoveOptions,
): MaskMove | undefined {
  const ownMap = pixelCentres ? ofPixelCentres(map) : map;
  const window = wholeWindow(width, height);
  const kept: number[][] = [];
  let [before, whole, left] = [0, 0, 0];
  for (const polygon of polygons) {
    const mapped = isIdentity(ownMap) ? [...polygon] : mapPolygon(polygon, ownMap);
    before += polygonArea(polygon);
    whole += polygonArea(mapped);
    const inside = isWithin(mapped, width, height) ? mapped : polygonInWindow(mapped, window);
    if (inside.length === 0) continue;
    left += polygonArea(inside);
    kept.push(inside);
  }
  const box = boxAround(kept.flat());
  if (box === undefined) return undefined;
  // A polygon without an area, as a line, is wholly there where anything of it is.
  const share = (part: number, of: number) => (of === 0 ? 1 : part / of);
  return {
    segmentation: { kind: 'polygons', polygons: kept },
    box,
    visible: share(left, whole),
    growth: share(left, before),
  };
}

/** `[x, y, v, ...]`, moved. */
function moveKeypoints(keypoints: readonly number[], map: PlanarMap, options: MoveOptions): number[] {
  const { width, height, keypointFlipOrder: order, pixelCentres } = options;
  const ownMap = pixelCentres ? ofPixelCentres(map) : map;
  const shift = pixelCentres ? 0.5 : 0;
  const count = keypoints.length / 3;
  const isReordered = isMirrored(map) && order.length === count;
  return Array.from({ length: count }, (_, i) => (isReordered ? order[i]! : i)).flatMap((from) => {
    const visibility = keypoints[from * 3 + 2]!;
    if (visibility === 0 || depthOf(ownMap, keypoints[from * 3]!, keypoints[from * 3 + 1]!) <= 0) return [0, 0, 0];
    const [x, y] = mapPoint(ownMap, keypoints[from * 3]!, keypoints[from * 3 + 1]!);
    const isThere = x >= -shift && y >= -shift && x <= width - shift && y <= height - shift;
    return isThere ? [x, y, visibility] : [0, 0, 0];
  });
}

function isWithin(points: readonly number[], width: number, height: number): boolean {
  for (let i = 0; i < points.length; i += 2)
    if (!(points[i]! >= 0 && points[i + 1]! >= 0 && points[i]! <= width && points[i + 1]! <= height)) return false;
  return true;
}

function boxAround(points: readonly number[]): BoxXyxy | undefined {
  if (points.length === 0) return undefined;
  let [x1, y1, x2, y2] = [points[0]!, points[1]!, points[0]!, points[1]!];
  for (let i = 2; i < points.length; i += 2) {
    x1 = Math.min(x1, points[i]!);
    x2 = Math.max(x2, points[i]!);
    y1 = Math.min(y1, points[i + 1]!);
    y2 = Math.max(y2, points[i + 1]!);
  }
  return boxXyxy(x1, y1, x2, y2);
}

function hasArea([x1, y1, x2, y2]: BoxXyxy): boolean {
  return x2 > x1 && y2 > y1;
}

function boxArea([x1, y1, x2, y2]: BoxXyxy): number {
  return (x2 - x1) * (y2 - y1);
}
