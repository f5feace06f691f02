// Keypoints as joints, and the limbs of their category's skeleton between them.
import type { Category } from '../formats/dataset.js';
import type { Point, Rectangle, SkeletonInstruction } from './instructions.js';
import type { RgbColor } from './palette.js';

const leftColor: RgbColor = [255, 152, 40];
const rightColor: RgbColor = [64, 196, 255];

/**
 * Limbs of the left side are orange, those of the right side blue, the rest has the object's colour.
 * @param keypoints `[x, y, v, ...]`; points with v = 0 are not drawn
 * @returns undefined where none is drawn
 */
export function skeletonOf(
  keypoints: readonly number[],
  category: Category | undefined,
  color: RgbColor,
  widthPx: number,
): SkeletonInstruction | undefined {
  const shown = shownPoints(keypoints);
  if (shown.size === 0) return undefined;
  const colorOf = (point: number): RgbColor => sideColor(category?.keypoints?.[point], color);
  const limbs = (category?.skeleton ?? []).flatMap(([a, b]) => {
    const [from, to] = [shown.get(a - 1), shown.get(b - 1)];
    if (!from || !to) return [];
    return [{ from, to, color: colorOf(a - 1) === colorOf(b - 1) ? colorOf(a - 1) : color }];
  });
  return { kind: 'skeleton', limbs, joints: [...shown].map(([point, at]) => ({ at, color: colorOf(point) })), widthPx };
}

/** The box around the points that are drawn, or undefined where there are none. */
export function keypointExtent(keypoints: readonly number[]): Rectangle | undefined {
  const shown = [...shownPoints(keypoints).values()];
  if (shown.length === 0) return undefined;
  const [xs, ys] = [shown.map(([x]) => x), shown.map(([, y]) => y)];
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y };
}

function shownPoints(keypoints: readonly number[]): ReadonlyMap<number, Point> {
  const shown = new Map<number, Point>();
  for (let i = 0; i < keypoints.length; i += 3) {
    const [x, y, visibility] = [keypoints[i]!, keypoints[i + 1]!, keypoints[i + 2]!];
    if (visibility > 0 && Number.isFinite(x) && Number.isFinite(y)) shown.set(i / 3, [x, y]);
  }
  return shown;
}

function sideColor(name: string | undefined, middle: RgbColor): RgbColor {
  if (name === undefined) return middle;
  if (/(^|[^a-z])left([^a-z]|$)/i.test(name)) return leftColor;
  return /(^|[^a-z])right([^a-z]|$)/i.test(name) ? rightColor : middle;
}
