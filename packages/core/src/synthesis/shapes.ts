// The shapes of synthetic scenes as signed distances: negative inside, in pixels, in the shape's own coordinates.
import type { Category } from '../formats/dataset.js';
import type { Random } from '../random/index.js';

/** Names of the shapes, in the order of their category ids (1, 2, ...). */
export const shapeNames = ['circle', 'rectangle', 'triangle', 'star', 'ring', 'angle', 'figure'] as const;
export type ShapeName = (typeof shapeNames)[number];

/** One shape, centred at (0, 0), upright. */
export interface Shape {
  /** Distance to the outline in pixels, negative inside. */
  distance(x: number, y: number): number;
  /** Nothing of the shape is farther from its centre. */
  readonly reach: number;
  /** How far it may be turned either way, radians. */
  readonly maxTurn: number;
  /** `[x, y]` of each keypoint of its category. */
  readonly keypoints?: readonly (readonly [number, number])[];
}

const figureKeypoints = [
  'head',
  'neck',
  'left_elbow',
  'right_elbow',
  'left_hand',
  'right_hand',
  'hip',
  'left_knee',
  'right_knee',
  'left_foot',
  'right_foot',
] as const;

const figureSkeleton: readonly (readonly [number, number])[] = [
  [1, 2],
  [2, 3],
  [3, 5],
  [2, 4],
  [4, 6],
  [2, 7],
  [7, 8],
  [8, 10],
  [7, 9],
  [9, 11],
];

/** The categories of synthetic scenes: one a shape. The figure has keypoints; it faces the viewer, so its left is at the right. */
export const synthesisCategories: readonly Category[] = shapeNames.map((name, i) =>
  name === 'figure'
    ? { id: i + 1, name, supercategory: 'shape', keypoints: figureKeypoints, skeleton: figureSkeleton }
    : { id: i + 1, name, supercategory: 'shape' },
);

/** A shape about `size` pixels across, its proportions drawn from `random`. */
export function makeShape(name: ShapeName, size: number, random: Random): Shape {
  const radius = size / 2;
  const between = (low: number, high: number) => low + (high - low) * random.uniform();
  switch (name) {
    case 'circle':
      return { distance: (x, y) => Math.sqrt(x * x + y * y) - radius, reach: radius, maxTurn: 0 };
    case 'ring': {
      const halfWidth = radius * between(0.18, 0.26);
      const middle = radius - halfWidth;
      return { distance: (x, y) => Math.abs(Math.sqrt(x * x + y * y) - middle) - halfWidth, reach: radius, maxTurn: 0 };
    }
    case 'rectangle': {
      const halfHeight = radius * between(0.6, 0.95);
      return polygonShape([-radius, -halfHeight, radius, -halfHeight, radius, halfHeight, -radius, halfHeight]);
    }
    case 'triangle': {
      const lean = radius * between(-0.35, 0.35);
      const height = radius * between(0.85, 1.1);
      return polygonShape([lean, -height, radius, height * 0.75, -radius, height * 0.75]);
    }
    case 'star': {
      const inner = radius * between(0.4, 0.5);
      const corners: number[] = [];
      for (let i = 0; i < 10; i++) {
        const angle = (i * Math.PI) / 5;
        const r = (i % 2 === 0 ? radius : inner) * 1.08;
        corners.push(r * Math.sin(angle), -r * Math.cos(angle));
      }
      return polygonShape(corners);
    }
    case 'angle': {
      const thick = radius * between(0.55, 0.75);
      const r = radius * 0.95;
      return polygonShape([-r, -r, -r + thick, -r, -r + thick, r - thick, r, r - thick, r, r, -r, r]);
    }
    case 'figure':
      return figureShape(radius, between);
  }
}

function polygonShape(corners: readonly number[]): Shape {
  let reach = 0;
  for (let i = 0; i < corners.length; i += 2) reach = Math.max(reach, Math.hypot(corners[i]!, corners[i + 1]!));
  return { distance: (x, y) => polygonDistance(corners, x, y), reach, maxTurn: Math.PI };
}

// The distance to the nearest edge; the sign by the number of edges that a ray to the right crosses.
function polygonDistance(corners: readonly number[], x: number, y: number): number {
  let nearest = Number.POSITIVE_INFINITY;
  let isInside = false;
  let ax = corners[corners.length - 2]!;
  let ay = corners[corners.length - 1]!;
  for (let i = 0; i < corners.length; i += 2) {
    const bx = corners[i]!;
    const by = corners[i + 1]!;
    nearest = Math.min(nearest, segmentDistance2(x, y, ax, ay, bx, by));
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) isInside = !isInside;
    ax = bx;
    ay = by;
  }
  return isInside ? -Math.sqrt(nearest) : Math.sqrt(nearest);
}

// A person of sticks: its limbs bend at random, but hands and feet stay on their side.
function figureShape(radius: number, between: (low: number, high: number) => number): Shape {
  const unit = radius / 100;
  const neck: Point = [0, -46];
  const hip: Point = [0, 14];
  const limbsOf = (side: 1 | -1) => {
    const upperArm = between(-0.5, 1.1);
    const elbow = along(neck, side, 33, upperArm);
    const hand = along(elbow, side, 32, upperArm + between(-0.9, 0.5));
    const knee = along(hip, side, 40, between(0.85, 1.3));
    const foot = along(knee, side, 42, between(1.1, 1.6));
    return { elbow, hand, knee, foot };
  };
  const left = limbsOf(1);
  const right = limbsOf(-1);
  const inUnits: Point[] = [
    [0, -74],
    neck,
    left.elbow,
    right.elbow,
    left.hand,
    right.hand,
    hip,
    left.knee,
    right.knee,
    left.foot,
    right.foot,
  ];
  const points = inUnits.map(([x, y]): Point => [x * unit, y * unit]);
  const [headX, headY] = points[0]!;
  const headRadius = 24 * unit;
  const bones = figureSkeleton.map(([a, b]) => [...points[a - 1]!, ...points[b - 1]!] as const);
  const halfWidth = 10 * unit;
  return {
    distance(x, y) {
      let nearest = Number.POSITIVE_INFINITY;
      for (const [ax, ay, bx, by] of bones) nearest = Math.min(nearest, segmentDistance2(x, y, ax, ay, bx, by));
      return Math.min(Math.sqrt(nearest) - halfWidth, Math.hypot(x - headX, y - headY) - headRadius);
    },
    reach: Math.max(...points.map(([x, y]) => Math.hypot(x, y))) + headRadius,
    maxTurn: 0.35,
    keypoints: points,
  };
}

type Point = readonly [number, number];

// `angle` 0 points to the side, a quarter turn points down.
function along(from: Point, side: 1 | -1, length: number, angle: number): Point {
  return [from[0] + side * length * Math.cos(angle), from[1] + length * Math.sin(angle)];
}

function segmentDistance2(x: number, y: number, ax: number, ay: number, bx: number, by: number): number {
  const dx = bx - ax;
  const dy = by - ay;
  const px = x - ax;
  const py = y - ay;
  const t = Math.min(Math.max((px * dx + py * dy) / (dx * dx + dy * dy), 0), 1);
  return (px - t * dx) ** 2 + (py - t * dy) ** 2;
}
