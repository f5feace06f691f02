// Annotated pictures made from a seed: data without a download, for the demo, for tests, and to see whether a model
// learns at all. Equal options give equal bytes.
import { boxXywh } from '../boxes/box.js';
import { InputError } from '../errors/index.js';
import type { Annotation } from '../formats/dataset.js';
import { segmentationFromMask } from '../formats/segmentation-from-mask.js';
import type { RgbImage } from '../geometry/image.js';
import { createRandom, type Random } from '../random/index.js';
import { blend, type Canvas, paintBackground } from './background.js';
import { distanceAt, maxObjects, type PlacedObject, type Placement, placeObjects } from './place-objects.js';
import { type ShapeName, shapeNames, synthesisCategories } from './shapes.js';
import { makeTexture, type Rgb } from './textures.js';

export interface SceneOptions {
  /** Any whole number; another seed is another set of scenes. */
  readonly seed: number;
  /** The scene's number within the set, from 0. */
  readonly index: number;
  /** Pixels, at least 32. */
  readonly width: number;
  readonly height: number;
  /** Default: the four of `demoShapes`; `shapeNames` lists all. */
  readonly categories?: readonly ShapeName[];
  /** Fewest and most objects; a crowded picture may end with fewer than asked for. Default 1 to 4. */
  readonly objects?: readonly [number, number];
  /** Default `demo`: quick to learn. `hard`: small objects, strong occlusion and truncation, weak contrast, much clutter. */
  readonly difficulty?: 'demo' | 'hard';
  /** Smallest and largest diameter of an object, pixels. Default by difficulty. */
  readonly sizePx?: readonly [number, number];
  /** The share of an object's pixels that stays visible at least, 0.25 to 1. Default 0.6 (`demo`) or 0.25 (`hard`). */
  readonly minVisible?: number;
}

export interface SyntheticScene {
  readonly image: RgbImage;
  /** Of the visible parts. `imageId` is index + 1, `id` is unique over all scenes of a set. */
  readonly annotations: readonly Annotation[];
}

/** Four shapes that a small network tells apart after few pictures. */
export const demoShapes: readonly ShapeName[] = ['circle', 'rectangle', 'triangle', 'star'];

interface Difficulty {
  readonly clutter: number;
  readonly contrast: number;
  readonly noise: number;
  readonly minVisible: number;
  readonly truncation: number;
  /** Shares of the picture's shorter side, and a floor in pixels. */
  readonly sizes: readonly [floorPx: number, smallest: number, largest: number];
}

const difficulties: Readonly<Record<'demo' | 'hard', Difficulty>> = {
  demo: { clutter: 0.8, contrast: 110, noise: 5, minVisible: 0.6, truncation: 0.08, sizes: [24, 0.2, 0.55] },
  hard: { clutter: 1.6, contrast: 60, noise: 10, minVisible: 0.25, truncation: 0.35, sizes: [10, 0.06, 0.7] },
};

/**
 * One scene. Masks and boxes are those of an object's visible part: polygons, or run lengths where a part has holes.
 * @throws InputError where an option is out of its range.
 */
export function synthesizeScene(options: SceneOptions): SyntheticScene {
  checkOptions(options);
  const { seed, index, width, height, categories = demoShapes, objects = [1, 4] } = options;
  const difficulty = difficulties[options.difficulty ?? 'demo'];
  const random = createRandom(seed, index);
  const shorter = Math.min(width, height);
  const [floorPx, smallest, largest] = difficulty.sizes;
  const defaultSizes = [
    Math.min(Math.max(floorPx, smallest * shorter), shorter),
    Math.max(floorPx, largest * shorter),
  ] as const;
  const placement = placeObjects(
    {
      width,
      height,
      shapes: categories,
      count: objects[0] + random.integer(objects[1] - objects[0] + 1),
      sizePx: options.sizePx ?? defaultSizes,
      minVisible: options.minVisible ?? difficulty.minVisible,
      truncation: difficulty.truncation,
    },
    random,
  );
  const canvas: Canvas = { data: new Float32Array(width * height * 3), width, height };
  const background = paintBackground(canvas, difficulty.clutter, random);
  for (const object of placement.objects) paintObject(canvas, object, background, difficulty.contrast, random);
  const annotations = placement.objects.flatMap((_, i) => annotate(placement, i, index, width, height));
  return { image: { data: toBytes(canvas, difficulty.noise, random), width, height }, annotations };
}

function paintObject(canvas: Canvas, object: PlacedObject, background: Rgb, contrast: number, random: Random): void {
  const { shape, size, centerX, centerY, cos, sin } = object;
  const texture = makeTexture(size, background, contrast, random);
  const reach = shape.reach + 1;
  const shift = Math.max(1, size * 0.04);
  const softness = 2 * shift;
  blend(
    canvas,
    centerX - reach,
    centerY - reach,
    centerX + reach + 2 * softness,
    centerY + reach + 2 * softness,
    [0, 0, 0],
    (x, y) => {
      return 0.35 * Math.min(Math.max(0.5 - distanceAt(object, x - shift, y - shift) / softness, 0), 1);
    },
  );
  const { data, width, height } = canvas;
  const { first, second } = texture;
  const lastX = Math.min(Math.ceil(centerX + reach), width);
  const lastY = Math.min(Math.ceil(centerY + reach), height);
  for (let y = Math.max(Math.floor(centerY - reach), 0); y < lastY; y++) {
    for (let x = Math.max(Math.floor(centerX - reach), 0); x < lastX; x++) {
      const dx = x + 0.5 - centerX;
      const dy = y + 0.5 - centerY;
      const u = dx * cos + dy * sin;
      const v = dy * cos - dx * sin;
      const distance = shape.distance(u, v);
      const opacity = Math.min(Math.max(0.5 - distance, 0), 1);
      if (opacity === 0) continue;
      const mix = texture.pattern(u, v);
      // A darker rim of a pixel and a half, as on a thing with thickness.
      const rim = 1 - 0.25 * Math.min(Math.max(distance + 2, 0), 1);
      const at = (y * width + x) * 3;
      for (let c = 0; c < 3; c++) {
        const color = (first[c]! + mix * (second[c]! - first[c]!)) * rim;
        data[at + c] = data[at + c]! + opacity * (color - data[at + c]!);
      }
    }
  }
}

// An object that later ones covered whole in the picture gives none.
function annotate(
  { objects, owner }: Placement,
  i: number,
  index: number,
  width: number,
  height: number,
): Annotation[] {
  const object = objects[i]!;
  const { centerX, centerY, shape } = object;
  const left = Math.max(Math.floor(centerX - shape.reach), 0);
  const top = Math.max(Math.floor(centerY - shape.reach), 0);
  const right = Math.min(Math.ceil(centerX + shape.reach), width);
  const bottom = Math.min(Math.ceil(centerY + shape.reach), height);
  const mask = new Uint8Array(width * height);
  let area = 0;
  let [minX, minY, maxX, maxY] = [right, bottom, left, top];
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      if (owner[y * width + x] !== i + 1) continue;
      mask[y * width + x] = 1;
      area++;
      minX = Math.min(minX, x);
      minY = Math.min(minY, y);
      maxX = Math.max(maxX, x);
      maxY = Math.max(maxY, y);
    }
  }
  if (area === 0) return [];
  const keypoints = visibleKeypoints(object, owner, i, width, height);
  return [
    {
      id: index * (maxObjects + 1) + i + 1,
      imageId: index + 1,
      categoryId: synthesisCategories.find(({ name }) => name === object.name)!.id,
      bbox: boxXywh(minX, minY, maxX + 1 - minX, maxY + 1 - minY),
      area,
      isCrowd: false,
      segmentation: segmentationFromMask(mask, [height, width]),
      ...keypoints,
    },
  ];
}

function visibleKeypoints(object: PlacedObject, owner: Uint8Array, i: number, width: number, height: number) {
  const { shape, centerX, centerY, cos, sin } = object;
  if (shape.keypoints === undefined) return {};
  const keypoints: number[] = [];
  let numKeypoints = 0;
  for (const [u, v] of shape.keypoints) {
    const x = centerX + u * cos - v * sin;
    const y = centerY + v * cos + u * sin;
    if (x < 0 || y < 0 || x >= width || y >= height) {
      keypoints.push(0, 0, 0);
      continue;
    }
    const isVisible = owner[Math.floor(y) * width + Math.floor(x)] === i + 1;
    keypoints.push(Math.round(x * 100) / 100, Math.round(y * 100) / 100, isVisible ? 2 : 1);
    numKeypoints++;
  }
  return { keypoints, numKeypoints };
}

// Sensor noise: the sum of two uniform numbers of 16 bits, from one draw.
function toBytes({ data }: Canvas, noise: number, random: Random): Uint8Array {
  const bytes = new Uint8ClampedArray(data.length);
  const scale = noise / 0x8000;
  for (let i = 0; i < data.length; i++) {
    const draw = random.uint32();
    bytes[i] = data[i]! + ((draw & 0xffff) + (draw >>> 16) - 0xffff) * scale;
  }
  return new Uint8Array(bytes.buffer);
}

function checkOptions({ width, height, index, seed, categories, objects, sizePx, minVisible }: SceneOptions): void {
  const fail = (text: string) => {
    throw new InputError('usage', `synthesizeScene: ${text}`);
  };
  for (const [name, side] of [
    ['width', width],
    ['height', height],
  ] as const) {
    if (!Number.isInteger(side) || side < 32 || side > 8192)
      fail(`${name} must be 32 to 8192 pixels, got ${side}: choose another size`);
  }
  if (!Number.isSafeInteger(seed)) fail(`seed must be a whole number, got ${seed}: choose another`);
  if (!Number.isSafeInteger(index) || index < 0)
    fail(`index must be a whole number from 0, got ${index}: number the scenes 0, 1, ...`);
  if (categories !== undefined) {
    const unknown = categories.find((name) => !shapeNames.includes(name));
    if (unknown !== undefined) fail(`no shape is called "${unknown}": choose from ${shapeNames.join(', ')}`);
    if (categories.length === 0) fail(`categories is empty: choose from ${shapeNames.join(', ')}`);
  }
  if (
    objects !== undefined &&
    !(
      Number.isInteger(objects[0]) &&
      Number.isInteger(objects[1]) &&
      objects[0] >= 0 &&
      objects[1] >= objects[0] &&
      objects[1] <= maxObjects
    )
  ) {
    fail(`objects must be [fewest, most] from 0 to ${maxObjects}, got [${objects.join(', ')}]: choose another range`);
  }
  if (sizePx !== undefined && !(sizePx[0] >= 4 && sizePx[1] >= sizePx[0] && sizePx[1] <= 2 * Math.max(width, height))) {
    fail(
      `sizePx must be [smallest, largest] from 4 to twice the picture, got [${sizePx.join(', ')}]: choose another range`,
    );
  }
  if (minVisible !== undefined && !(minVisible >= 0.25 && minVisible <= 1)) {
    fail(`minVisible must be 0.25 to 1, got ${minVisible}: choose another share`);
  }
}
