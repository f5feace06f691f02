// Keypoints as dots, joined by the lines of their category's skeleton.
import type { Category } from '../formats/dataset.js';
import type { Rectangle } from './label-layout.js';
import type { RgbColor } from './palette.js';
import type { Surface } from './surface.js';

const leftColor: RgbColor = [255, 152, 40];
const rightColor: RgbColor = [64, 196, 255];
const dark: RgbColor = [24, 24, 24];

/**
 * Limbs of the left side are orange, those of the right side blue, the rest has the object's colour.
 * @param keypoints `[x, y, v, ...]`; points with v = 0 are not drawn
 */
export function drawKeypoints(
  surface: Surface,
  keypoints: readonly number[],
  category: Category | undefined,
  color: RgbColor,
  lineWidth: number,
): void {
  const isShown = (point: number) => {
    const [x, y, visibility] = [keypoints[point * 3], keypoints[point * 3 + 1], keypoints[point * 3 + 2]];
    return visibility !== undefined && visibility > 0 && Number.isFinite(x) && Number.isFinite(y);
  };
  const colorOf = (point: number) => sideColor(category?.keypoints?.[point], color);
  const limbs = (category?.skeleton ?? []).filter(([a, b]) => isShown(a - 1) && isShown(b - 1));
  // Below everything a dark rim, so that light limbs show on light ground.
  for (const rim of [true, false]) {
    for (const [a, b] of limbs) {
      const [ax, ay] = [keypoints[a * 3 - 3]!, keypoints[a * 3 - 2]!];
      const [bx, by] = [keypoints[b * 3 - 3]!, keypoints[b * 3 - 2]!];
      surface.addLine(ax, ay, bx, by, lineWidth * 1.25 + (rim ? 1.5 : 0));
      if (!rim) surface.paint(colorOf(a - 1) === colorOf(b - 1) ? colorOf(a - 1) : color);
    }
    if (rim) surface.paint(dark, 0.6);
  }
  for (let point = 0; point * 3 < keypoints.length; point++) {
    if (!isShown(point)) continue;
    const x = keypoints[point * 3]!;
    const y = keypoints[point * 3 + 1]!;
    surface.addLine(x, y, x, y, lineWidth * 2.5 + 2);
    surface.paint(dark, 0.85);
    surface.addLine(x, y, x, y, lineWidth * 2.5);
    surface.paint(colorOf(point));
  }
}

/** The box around the points that are drawn, or undefined where there are none. */
export function keypointExtent(keypoints: readonly number[]): Rectangle | undefined {
  let [left, top, right, bottom] = [
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
  ];
  for (let i = 0; i < keypoints.length; i += 3) {
    if (!(keypoints[i + 2]! > 0)) continue;
    left = Math.min(left, keypoints[i]!);
    top = Math.min(top, keypoints[i + 1]!);
    right = Math.max(right, keypoints[i]!);
    bottom = Math.max(bottom, keypoints[i + 1]!);
  }
  const isFound = [left, top, right, bottom].every(Number.isFinite);
  return isFound ? { x: left, y: top, width: right - left, height: bottom - top } : undefined;
}

function sideColor(name: string | undefined, middle: RgbColor): RgbColor {
  if (name === undefined) return middle;
  if (/(^|[^a-z])left([^a-z]|$)/i.test(name)) return leftColor;
  return /(^|[^a-z])right([^a-z]|$)/i.test(name) ? rightColor : middle;
}
