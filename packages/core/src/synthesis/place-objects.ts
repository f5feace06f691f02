// Where the objects of a scene lie: each new one is on top of the earlier ones, and none may hide too much of another.
import type { Random } from '../random/index.js';
import { makeShape, type Shape, type ShapeName } from './shapes.js';

export interface PlacedObject {
  readonly name: ShapeName;
  readonly shape: Shape;
  /** Of its bounding circle's diameter, pixels. */
  readonly size: number;
  readonly centerX: number;
  readonly centerY: number;
  readonly cos: number;
  readonly sin: number;
}

export interface Placement {
  /** From the lowest to the topmost. */
  readonly objects: readonly PlacedObject[];
  /** For each pixel, row-major, the topmost object's index + 1, or 0. */
  readonly owner: Uint8Array;
}

export interface PlacementOptions {
  readonly width: number;
  readonly height: number;
  readonly shapes: readonly ShapeName[];
  readonly count: number;
  /** Smallest and largest diameter, pixels. */
  readonly sizePx: readonly [number, number];
  /** The share of each object's pixels that must stay visible, 0 to 1. */
  readonly minVisible: number;
  /** How much of an object's diameter may lie outside of the picture, 0 to 0.5. */
  readonly truncation: number;
}

const triesPerObject = 12;
/** An object's index must fit in a byte. */
export const maxObjects = 255;

export function placeObjects(options: PlacementOptions, random: Random): Placement {
  const { width, height, shapes, count, sizePx, minVisible } = options;
  const owner = new Uint8Array(width * height);
  const objects: PlacedObject[] = [];
  const pixels: number[] = [];
  const visible: number[] = [];
  const covered = new Int32Array(maxObjects + 1);
  for (let i = 0; i < count; i++) {
    const name = shapes[random.integer(shapes.length)]!;
    // Even on a logarithmic scale: as many small as large ones.
    const size = sizePx[0] * (sizePx[1] / sizePx[0]) ** random.uniform();
    const shape = makeShape(name, size, random);
    const angle = (2 * random.uniform() - 1) * shape.maxTurn;
    for (let attempt = 0; attempt < triesPerObject; attempt++) {
      const object = { name, shape, size, cos: Math.cos(angle), sin: Math.sin(angle), ...place(size, options, random) };
      const { own, total } = coverage(object, owner, width, height, covered);
      const isFair =
        own.length >= total * minVisible &&
        visible.every((seen, k) => seen - covered[k + 1]! >= pixels[k]! * minVisible);
      if (!isFair) continue;
      objects.push(object);
      pixels.push(total);
      visible.push(own.length);
      for (let k = 0; k < objects.length - 1; k++) visible[k]! -= covered[k + 1]!;
      for (const at of own) owner[at] = objects.length;
      break;
    }
  }
  return { objects, owner };
}

function place(size: number, { width, height, truncation }: PlacementOptions, random: Random) {
  const margin = size * (0.5 - truncation);
  const within = (side: number) => (2 * margin >= side ? side / 2 : margin + (side - 2 * margin) * random.uniform());
  return { centerX: within(width), centerY: within(height) };
}

/** The object's distance function at a place of the picture. */
export function distanceAt(object: PlacedObject, x: number, y: number): number {
  const dx = x - object.centerX;
  const dy = y - object.centerY;
  return object.shape.distance(dx * object.cos + dy * object.sin, dy * object.cos - dx * object.sin);
}

// The object's pixels in the picture, how many it has with those outside, and how many it takes of each earlier object.
function coverage(object: PlacedObject, owner: Uint8Array, width: number, height: number, covered: Int32Array) {
  covered.fill(0);
  const own: number[] = [];
  let total = 0;
  const { reach } = object.shape;
  for (let y = Math.floor(object.centerY - reach); y < object.centerY + reach; y++) {
    for (let x = Math.floor(object.centerX - reach); x < object.centerX + reach; x++) {
      if (distanceAt(object, x + 0.5, y + 0.5) > 0) continue;
      total++;
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      const at = y * width + x;
      own.push(at);
      covered[owner[at]!]!++;
    }
  }
  return { own, total };
}
