// Polygons under a map of the plane.
import { depthOf, mapPoint, type PlanarMap } from './planar-map.js';

// What is nearer to the horizon than this would fly off; nothing that near is ever in a picture.
const LEAST_DEPTH = 1e-3;

/**
 * Where the corners of a polygon `[x0, y0, x1, y1, ...]` go. Of one that crosses the horizon of a perspective the part before
 * it is taken; empty where there is none.
 */
export function mapPolygon(polygon: readonly number[], map: PlanarMap): number[] {
  const points = map[6] === 0 && map[7] === 0 ? polygon : beforeHorizon(polygon, map);
  const mapped = new Array<number>(points.length);
  for (let i = 0; i < points.length; i += 2) {
    const [x, y] = mapPoint(map, points[i]!, points[i + 1]!);
    mapped[i] = x;
    mapped[i + 1] = y;
  }
  return mapped;
}

function beforeHorizon(polygon: readonly number[], map: PlanarMap): readonly number[] {
  const depths: number[] = [];
  for (let i = 0; i < polygon.length; i += 2) depths.push(depthOf(map, polygon[i]!, polygon[i + 1]!) - LEAST_DEPTH);
  if (depths.every((depth) => depth >= 0)) return polygon;
  const kept: number[] = [];
  depths.forEach((depth, to) => {
    const from = (to === 0 ? depths.length : to) - 1;
    const before = depths[from]!;
    if (before < 0 !== depth < 0) {
      const share = before / (before - depth);
      for (const axis of [0, 1])
        kept.push(polygon[from * 2 + axis]! + (polygon[to * 2 + axis]! - polygon[from * 2 + axis]!) * share);
    }
    if (depth >= 0) kept.push(polygon[to * 2]!, polygon[to * 2 + 1]!);
  });
  return kept;
}

/** What a polygon encloses, square pixels, by Gauss's area formula; parts that it winds about twice count twice. */
export function polygonArea(polygon: readonly number[]): number {
  let twice = 0;
  for (let to = 0; to < polygon.length; to += 2) {
    const from = (to === 0 ? polygon.length : to) - 2;
    twice += polygon[from]! * polygon[to + 1]! - polygon[to]! * polygon[from + 1]!;
  }
  return Math.abs(twice) / 2;
}
