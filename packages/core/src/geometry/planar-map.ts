// Maps of the plane, as 3 x 3 matrices: how a picture and all that is marked in it are moved at once. Coordinates are
// continuous: the pixel in row 0, column 0 covers 0..1 on both axes, its centre is (0.5, 0.5).

/** Rows of a matrix that takes (x, y, 1) to (u, v, w), which is the point (u / w, v / w). */
export type PlanarMap = readonly [number, number, number, number, number, number, number, number, number];

export const identityMap: PlanarMap = [1, 0, 0, 0, 1, 0, 0, 0, 1];

export function translation(x: number, y: number): PlanarMap {
  return [1, 0, x, 0, 1, y, 0, 0, 1];
}

export function scaling(x: number, y: number): PlanarMap {
  return [x, 0, 0, 0, y, 0, 0, 0, 1];
}

/** About the origin; a positive angle turns the x axis to the y axis: clockwise, as y points down. */
export function rotation(degrees: number): PlanarMap {
  const radians = (degrees * Math.PI) / 180;
  const [cos, sin] = [Math.cos(radians), Math.sin(radians)];
  return [cos, -sin, 0, sin, cos, 0, 0, 0, 1];
}

/** x grows by y times the first tangent, y by x times the second. */
export function shearing(degreesX: number, degreesY: number): PlanarMap {
  return [1, Math.tan((degreesX * Math.PI) / 180), 0, Math.tan((degreesY * Math.PI) / 180), 1, 0, 0, 0, 1];
}

/** Points with x * perX + y * perY = 1 come half as near to the origin. */
export function foreshortening(perX: number, perY: number): PlanarMap {
  return [1, 0, 0, 0, 1, 0, perX, perY, 1];
}

/** A picture's mirror image, in its own place. */
export function mirroring(direction: 'horizontal' | 'vertical', side: number): PlanarMap {
  return direction === 'horizontal' ? [-1, 0, side, 0, 1, 0, 0, 0, 1] : [1, 0, 0, 0, -1, side, 0, 0, 1];
}

/** One map for several, in the order in which they act. */
export function inOrder(...maps: readonly PlanarMap[]): PlanarMap {
  return maps.reduce((before, map) => multiply(map, before), identityMap);
}

export function inverseMap(map: PlanarMap): PlanarMap {
  const [a, b, c, d, e, f, g, h, i] = map;
  if (g === 0 && h === 0 && i === 1) {
    // Without perspective the last row stays exact.
    const area = a * e - b * d;
    return [e / area, -b / area, (b * f - c * e) / area, -d / area, a / area, (c * d - a * f) / area, 0, 0, 1];
  }
  const A = e * i - f * h;
  const B = f * g - d * i;
  const C = d * h - e * g;
  const scale = 1 / (a * A + b * B + c * C);
  const inverse = [A, c * h - b * i, b * f - c * e, B, a * i - c * g, c * d - a * f, C, b * g - a * h, a * e - b * d];
  return inverse.map((value) => value * scale) as unknown as PlanarMap;
}

/** Where a point goes; it has to lie before the horizon, see {@link depthOf}. */
export function mapPoint(map: PlanarMap, x: number, y: number): [number, number] {
  const w = depthOf(map, x, y);
  return [(map[0] * x + map[1] * y + map[2]) / w, (map[3] * x + map[4] * y + map[5]) / w];
}

/** w of a point: positive before the horizon of a perspective, 1 everywhere without one. */
export function depthOf(map: PlanarMap, x: number, y: number): number {
  return map[6] * x + map[7] * y + map[8];
}

/** Whether nothing moves at all. */
export function isIdentity(map: PlanarMap): boolean {
  return map.every((value, i) => value === identityMap[i]);
}

/** Whether upright boxes stay upright boxes and nothing is foreshortened: scaled, moved and mirrored along the axes. */
export function keepsAxes([, b, , d, , , g, h, i]: PlanarMap): boolean {
  return b === 0 && d === 0 && g === 0 && h === 0 && i === 1;
}

/** Whether pixels go to the places of pixels: moved by whole ones, mirrored or not. */
export function isWholeMove(map: PlanarMap): boolean {
  const [a, , c, , e, f] = map;
  return keepsAxes(map) && Math.abs(a) === 1 && Math.abs(e) === 1 && Number.isInteger(c) && Number.isInteger(f);
}

/** Whether left becomes right: what turns away from the viewer shows its other side. */
export function isMirrored(map: PlanarMap): boolean {
  return map[0] * map[4] - map[1] * map[3] < 0;
}

/** The same move for coordinates that name pixel centres: (0, 0) is the centre of the first pixel. */
export function ofPixelCentres(map: PlanarMap): PlanarMap {
  return inOrder(translation(0.5, 0.5), map, translation(-0.5, -0.5));
}

/**
 * The perspective that takes the corners of a `width` x `height` picture to four others.
 * @param corners x and y of where the upper left, upper right, lower right and lower left corner go: a convex quadrilateral
 */
export function cornersMap(width: number, height: number, corners: readonly number[]): PlanarMap {
  // From the unit square, in closed form: Heckbert, "Fundamentals of Texture Mapping and Image Warping", 1989, 2.2.3.
  const [x0, y0, x1, y1, x2, y2, x3, y3] = corners as [number, number, number, number, number, number, number, number];
  const [dx1, dx2, sx] = [x1 - x2, x3 - x2, x0 - x1 + x2 - x3];
  const [dy1, dy2, sy] = [y1 - y2, y3 - y2, y0 - y1 + y2 - y3];
  const area = dx1 * dy2 - dx2 * dy1;
  const g = (sx * dy2 - dx2 * sy) / area;
  const h = (dx1 * sy - sx * dy1) / area;
  const fromUnit: PlanarMap = [x1 - x0 + g * x1, x3 - x0 + h * x3, x0, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1];
  return inOrder(scaling(1 / width, 1 / height), fromUnit);
}

function multiply(left: PlanarMap, right: PlanarMap): PlanarMap {
  const product = Array.from({ length: 9 }, (_, at) => {
    const row = at - (at % 3);
    const column = at % 3;
    return left[row]! * right[column]! + left[row + 1]! * right[column + 3]! + left[row + 2]! * right[column + 6]!;
  });
  return product as unknown as PlanarMap;
}
