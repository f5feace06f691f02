// Backgrounds of synthetic scenes: a lit, mottled surface strewn with strokes and soft blobs that are no objects.
import type { Random } from '../random/index.js';
import { contrastingColor, hsvToRgb, type Rgb, valueNoise } from './textures.js';

/** Colours while a scene is made: `height * width * 3` floats, 0 to 255, so that layers blend without rounding. */
export interface Canvas {
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
}

/**
 * Fills the canvas and returns its main colour.
 * @param clutter 0 for a plain surface, 1 for moderate, 2 for as much as confuses.
 */
export function paintBackground(canvas: Canvas, clutter: number, random: Random): Rgb {
  const base = hsvToRgb(random.uniform(), 0.1 + 0.35 * random.uniform(), 0.25 + 0.55 * random.uniform());
  paintSurface(canvas, base, clutter, random);
  const scale = (canvas.width * canvas.height) / (160 * 160);
  const blobs = Math.round(clutter * scale * (2 + 3 * random.uniform()));
  for (let i = 0; i < blobs; i++) paintBlob(canvas, random);
  const strokes = Math.round(clutter * scale * (6 + 10 * random.uniform()));
  for (let i = 0; i < strokes; i++) paintStroke(canvas, base, random);
  return base;
}

function paintSurface({ data, width, height }: Canvas, base: Rgb, clutter: number, random: Random): void {
  const key = random.uint32();
  const cell = 14 + 26 * random.uniform();
  const coarse = 16 + 22 * clutter * random.uniform();
  const fine = 6 + 14 * clutter * random.uniform();
  const angle = random.uniform() * 2 * Math.PI;
  const slope = 50 * random.uniform();
  const lightX = (slope * Math.cos(angle)) / width;
  const lightY = (slope * Math.sin(angle)) / height;
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const light = lightX * (x - width / 2) + lightY * (y - height / 2);
      const mottle =
        coarse * (valueNoise(x / cell, y / cell, key) - 0.5) + fine * (valueNoise(x / 4, y / 4, ~key) - 0.5);
      const shade = light + mottle;
      data[at++] = base[0] + shade;
      data[at++] = base[1] + shade;
      data[at++] = base[2] + shade;
    }
  }
}

function paintBlob(canvas: Canvas, random: Random): void {
  const { width, height } = canvas;
  const radius = Math.min(width, height) * (0.08 + 0.17 * random.uniform());
  const cx = random.uniform() * width;
  const cy = random.uniform() * height;
  const color = hsvToRgb(random.uniform(), 0.5 * random.uniform(), 0.2 + 0.6 * random.uniform());
  const strength = 0.25 + 0.25 * random.uniform();
  blend(canvas, cx - radius, cy - radius, cx + radius, cy + radius, color, (x, y) => {
    const t = 1 - ((x - cx) ** 2 + (y - cy) ** 2) / (radius * radius);
    return t > 0 ? strength * t * t : 0;
  });
}

function paintStroke(canvas: Canvas, base: Rgb, random: Random): void {
  const { width, height } = canvas;
  const ax = random.uniform() * width;
  const ay = random.uniform() * height;
  const length = Math.min(width, height) * (0.05 + 0.2 * random.uniform());
  const angle = random.uniform() * 2 * Math.PI;
  const dx = length * Math.cos(angle);
  const dy = length * Math.sin(angle);
  const halfWidth = 0.5 + random.uniform();
  const color = contrastingColor(base, 40, random);
  const opacity = 0.35 + 0.45 * random.uniform();
  const margin = halfWidth + 1;
  blend(
    canvas,
    Math.min(ax, ax + dx) - margin,
    Math.min(ay, ay + dy) - margin,
    Math.max(ax, ax + dx) + margin,
    Math.max(ay, ay + dy) + margin,
    color,
    (x, y) => {
      const t = Math.min(Math.max(((x - ax) * dx + (y - ay) * dy) / (length * length), 0), 1);
      const distance = Math.sqrt((x - ax - t * dx) ** 2 + (y - ay - t * dy) ** 2);
      return opacity * Math.min(Math.max(halfWidth + 0.5 - distance, 0), 1);
    },
  );
}

/** Mixes a colour into the pixels of a rectangle, by `opacity` (0 to 1) at each pixel's centre. */
export function blend(
  canvas: Canvas,
  left: number,
  top: number,
  right: number,
  bottom: number,
  color: Rgb,
  opacity: (x: number, y: number) => number,
): void {
  const { data, width, height } = canvas;
  const lastX = Math.min(Math.ceil(right), width);
  const lastY = Math.min(Math.ceil(bottom), height);
  for (let y = Math.max(Math.floor(top), 0); y < lastY; y++) {
    for (let x = Math.max(Math.floor(left), 0); x < lastX; x++) {
      const amount = opacity(x + 0.5, y + 0.5);
      if (amount <= 0) continue;
      const at = (y * width + x) * 3;
      for (let c = 0; c < 3; c++) data[at + c] = data[at + c]! + amount * (color[c]! - data[at + c]!);
    }
  }
}
