// Instructions on a canvas: the one in a page that shows the picture, or one that was made for it.
import { type Canvas2D, cssFont, DEFAULT_FONT, type LabelFont } from './canvas-2d.js';
import type {
  BoxInstruction,
  DrawInstruction,
  LabelInstruction,
  MaskInstruction,
  Rectangle,
  SkeletonInstruction,
} from './instructions.js';
import type { RgbColor } from './palette.js';

const DARK: RgbColor = [24, 24, 24];
/** Of what is dark around limbs and joints, so that light ones show on light ground. */
const rimOf = (widthPx: number): number => Math.max(0.75, widthPx / 6);
const RIM_OPACITY = 0.6;
const PLATE_OPACITY = 0.92;

/**
 * Paints the instructions in their order. Canvas pixels are the picture's: on a canvas that shows it smaller, call `scale` before.
 * @param font that the labels were measured with
 */
export function paintInstructions(
  context: Canvas2D,
  instructions: readonly DrawInstruction[],
  font: LabelFont = DEFAULT_FONT,
): void {
  context.lineCap = 'round';
  context.lineJoin = 'round';
  context.textAlign = 'left';
  context.textBaseline = 'alphabetic';
  for (const instruction of instructions) {
    if (instruction.kind === 'mask') paintMask(context, instruction);
    else if (instruction.kind === 'box') paintBox(context, instruction);
    else if (instruction.kind === 'skeleton') paintSkeleton(context, instruction);
    else paintLabel(context, instruction, font);
  }
  context.globalAlpha = 1;
}

/** The pixels that an instruction may change lie within these, which may have fractions and reach beyond the picture. */
export function instructionExtents(instruction: DrawInstruction): Rectangle[] {
  if (instruction.kind === 'box') return sidesOf(instruction);
  // Corners of a line reach as far beyond it as it is wide.
  if (instruction.kind === 'mask') return [around(instruction.outlines, 2 * instruction.outlinePx)];
  if (instruction.kind === 'skeleton') {
    const { joints, widthPx } = instruction;
    return [around([joints.flatMap(({ at }) => at)], 2 * widthPx + 2 * rimOf(widthPx))];
  }
  const { place, leader } = instruction;
  const corners = [place.x, place.y, place.x + place.width, place.y + place.height];
  return [around([[...corners, ...(leader ? [...leader.from, ...leader.to] : [])]], leader?.widthPx ?? 0)];
}

/** @param widthPx of the lines through these points */
function around(lines: readonly (readonly number[])[], widthPx: number): Rectangle {
  let [left, top] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  let [right, bottom] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const points of lines) {
    for (let i = 0; i < points.length; i += 2) {
      left = Math.min(left, points[i]!);
      right = Math.max(right, points[i]!);
      top = Math.min(top, points[i + 1]!);
      bottom = Math.max(bottom, points[i + 1]!);
    }
  }
  // A pixel more for soft edges.
  const margin = widthPx / 2 + 1;
  return { x: left - margin, y: top - margin, width: right - left + 2 * margin, height: bottom - top + 2 * margin };
}

function paintMask(context: Canvas2D, { color, opacity, outlines, outlinePx }: MaskInstruction): void {
  context.fillStyle = css(color);
  context.globalAlpha = opacity;
  tracePaths(context, outlines);
  context.fill('evenodd');
  context.strokeStyle = css(color);
  context.lineWidth = outlinePx;
  context.globalAlpha = 1;
  // Smooth lines bend little from point to point: round joins look the same, and take a third longer.
  context.lineJoin = 'miter';
  context.stroke();
  context.lineJoin = 'round';
}

function tracePaths(context: Canvas2D, rings: readonly (readonly number[])[]): void {
  context.beginPath();
  for (const points of rings) {
    context.moveTo(points[0]!, points[1]!);
    for (let i = 2; i < points.length; i += 2) context.lineTo(points[i]!, points[i + 1]!);
    context.closePath();
  }
}

function paintBox(context: Canvas2D, box: BoxInstruction): void {
  context.globalAlpha = 1;
  context.fillStyle = css(box.color);
  for (const { x, y, width, height } of sidesOf(box)) context.fillRect(x, y, width, height);
}

/** Above, below, left and right. */
function sidesOf({ x, y, width, height, widthPx }: BoxInstruction): Rectangle[] {
  const [across, down] = [Math.min(widthPx, width), Math.min(widthPx, height)];
  return [
    { x, y, width, height: down },
    { x, y: y + height - down, width, height: down },
    { x, y, width: across, height },
    { x: x + width - across, y, width: across, height },
  ];
}

function paintSkeleton(context: Canvas2D, { limbs, joints, widthPx }: SkeletonInstruction): void {
  const trace = (some: SkeletonInstruction['limbs']): void => {
    context.beginPath();
    for (const { from, to } of some) {
      context.moveTo(...from);
      context.lineTo(...to);
    }
  };
  // One line for all rims: crossings are not darker.
  context.globalAlpha = RIM_OPACITY;
  context.strokeStyle = css(DARK);
  context.lineWidth = widthPx + 2 * rimOf(widthPx);
  trace(limbs);
  context.stroke();
  context.globalAlpha = 1;
  context.lineWidth = widthPx;
  for (const limb of limbs) {
    context.strokeStyle = css(limb.color);
    trace([limb]);
    context.stroke();
  }
  for (const { at, color } of joints) {
    paintDisc(context, at, widthPx + rimOf(widthPx), DARK);
    paintDisc(context, at, widthPx, color);
  }
}

function paintDisc(context: Canvas2D, [x, y]: readonly [number, number], radius: number, color: RgbColor): void {
  context.fillStyle = css(color);
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

function paintLabel(context: Canvas2D, label: LabelInstruction, font: LabelFont): void {
  const { leader, place, radiusPx, background } = label;
  context.globalAlpha = 1;
  if (leader) {
    context.strokeStyle = css(background);
    context.lineWidth = leader.widthPx;
    context.beginPath();
    context.moveTo(...leader.from);
    context.lineTo(...leader.to);
    context.stroke();
  }
  context.fillStyle = css(background);
  context.globalAlpha = PLATE_OPACITY;
  tracePlate(context, place, Math.min(radiusPx, place.width / 2, place.height / 2));
  context.fill();
  context.globalAlpha = 1;
  context.fillStyle = css(label.color);
  context.font = cssFont(font, label.sizePx);
  context.fillText(label.text, ...label.start);
}

function tracePlate(context: Canvas2D, { x, y, width, height }: Rectangle, radius: number): void {
  const [right, bottom, quarter] = [x + width, y + height, Math.PI / 2];
  context.beginPath();
  context.arc(x + radius, y + radius, radius, 2 * quarter, 3 * quarter);
  context.arc(right - radius, y + radius, radius, 3 * quarter, 4 * quarter);
  context.arc(right - radius, bottom - radius, radius, 0, quarter);
  context.arc(x + radius, bottom - radius, radius, quarter, 2 * quarter);
  context.closePath();
}

function css(color: RgbColor): string {
  return `rgb(${color.join(', ')})`;
}
