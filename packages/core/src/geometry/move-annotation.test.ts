import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { boxXywh } from '../boxes/box.js';
import type { Annotation, Segmentation } from '../formats/dataset.js';
import { polygonsToRle, rleArea, rleToBbox } from '../masks/index.js';
import { createRandom, type Random } from '../random/index.js';
import { type MovedAnnotation, moveAnnotation } from './move-annotation.js';
import {
  cornersMap,
  foreshortening,
  identityMap,
  inOrder,
  mirroring,
  type PlanarMap,
  rotation,
  scaling,
  shearing,
  translation,
} from './planar-map.js';
import { polygonArea } from './polygon-under-map.js';

const WIDTH = 120;
const HEIGHT = 90;
const order = [1, 0, 2];

const polygons = (...parts: number[][]): Segmentation => ({ kind: 'polygons', polygons: parts });
const asRle = (parts: readonly (readonly number[])[]): Segmentation => ({
  kind: 'rle',
  rle: polygonsToRle(parts, [HEIGHT, WIDTH]),
});

function annotated(parts: Partial<Annotation>): Annotation {
  const bbox = boxXywh(20, 30, 40, 20);
  return { id: 5, imageId: 2, categoryId: 3, bbox, area: bbox[2] * bbox[3], isCrowd: false, ...parts };
}

const move = (annotation: Annotation, map: PlanarMap, size = { width: WIDTH, height: HEIGHT }) =>
  moveAnnotation(annotation, map, { ...size, keypointFlipOrder: order });

/** A polygon of 8 to 14 blunt corners about a centre, and three points inside of it. */
function randomObject(random: Random): Annotation {
  const [cx, cy] = [20 + 80 * random.uniform(), 20 + 50 * random.uniform()];
  const count = 8 + random.integer(7);
  const radius = 12 + 15 * random.uniform();
  const outline = Array.from({ length: count }, (_, i) => (2 * Math.PI * (i + 0.3 * random.uniform())) / count).flatMap(
    (angle) => [
      Math.min(Math.max(cx + radius * Math.cos(angle), 0), WIDTH),
      Math.min(Math.max(cy + radius * Math.sin(angle), 0), HEIGHT),
    ],
  );
  const [xs, ys] = [0, 1].map((axis) => outline.filter((_, i) => i % 2 === axis)) as [number[], number[]];
  const corner = (i: number) => [outline[i * 2]!, outline[i * 2 + 1]!] as const;
  // In a triangle of corners of a convex outline.
  const keypoints = [0, 1, 2].flatMap((v) => {
    const shares = [random.uniform() + 0.1, random.uniform() + 0.1, random.uniform() + 0.1];
    const sum = shares.reduce((a, b) => a + b);
    const at = (axis: 0 | 1) => shares.reduce((total, share, i) => total + (share / sum) * corner(i)[axis], 0);
    return [at(0), at(1), v];
  });
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const bbox = boxXywh(left, top, Math.max(...xs) - left, Math.max(...ys) - top);
  return annotated({ bbox, area: polygonArea(outline), segmentation: polygons(outline), keypoints });
}

function randomMap(random: Random): PlanarMap {
  const signed = (reach: number) => reach * (2 * random.uniform() - 1);
  const corner = (at: number, side: number) => (at === 0 ? 1 : -1) * 0.2 * side * random.uniform() + at;
  const kinds: (() => PlanarMap)[] = [
    () => translation(signed(60), signed(60)),
    () => mirroring('horizontal', WIDTH),
    () => mirroring('vertical', HEIGHT),
    () => scaling(0.5 + random.uniform(), 0.5 + random.uniform()),
    () =>
      inOrder(
        translation(-60, -45),
        foreshortening(signed(0.004), signed(0.004)),
        rotation(signed(90)),
        scaling(0.6 + random.uniform(), 0.6 + random.uniform()),
        shearing(signed(20), signed(20)),
        translation(60 + signed(40), 45 + signed(40)),
      ),
    () =>
      cornersMap(
        WIDTH,
        HEIGHT,
        [0, 0, WIDTH, 0, WIDTH, HEIGHT, 0, HEIGHT].map((at, i) => corner(at, i % 2 ? HEIGHT : WIDTH)),
      ),
  ];
  return kinds[random.integer(kinds.length)]!();
}

function outlinesOf({ segmentation }: Annotation) {
  assert.ok(segmentation?.kind === 'polygons');
  return segmentation.polygons;
}

function maskOf({ annotation: { segmentation } }: MovedAnnotation) {
  if (segmentation?.kind === 'rle') return segmentation.rle;
  return polygonsToRle(segmentation!.polygons, [HEIGHT, WIDTH]);
}

/** By how much the sides of two boxes differ at most. */
function apart(a: readonly number[], b: readonly number[]): number {
  return Math.max(
    Math.abs(a[0]! - b[0]!),
    Math.abs(a[1]! - b[1]!),
    Math.abs(a[0]! + a[2]! - b[0]! - b[2]!),
    Math.abs(a[1]! + a[3]! - b[1]! - b[3]!),
  );
}

describe('of an object that is moved by any map', () => {
  test('box and mask stay together within a pixel, the box inside of the picture; a bitmap goes the way of the outline', () => {
    const random = createRandom(1);
    let seen = 0;
    for (let round = 0; round < 400; round++) {
      const object = randomObject(random);
      const map = randomMap(random);
      const moved = move(object, map);
      const bitmap = polygonsToRle(outlinesOf(object), [HEIGHT, WIDTH]);
      const drawn = { ...object, bbox: rleToBbox(bitmap), segmentation: { kind: 'rle', rle: bitmap } as const };
      const asBitmap = move(drawn, map);
      if (moved === undefined || asBitmap === undefined) continue;
      seen++;
      const { bbox } = moved.annotation;
      const mask = maskOf(moved);
      assert.ok(bbox[0] >= 0 && bbox[1] >= 0 && bbox[0] + bbox[2] <= WIDTH && bbox[1] + bbox[3] <= HEIGHT);
      // Of a sliver the border leaves a tip alone.
      if (Math.min(bbox[2], bbox[3]) < 4) continue;
      // The picture's border cuts sharp tips, whose last pixel is covered by less than half.
      const within = moved.visible < 1 - 1e-9 ? 2 : 1;
      assert.ok(apart(bbox, rleToBbox(mask)) <= within, `round ${round}: ${bbox} for ${rleToBbox(mask)}`);
      // Made smaller, a bitmap loses rows and columns, its tips with them.
      assert.ok(apart(asBitmap.annotation.bbox, rleToBbox(maskOf(asBitmap))) <= 2);
      // Both ways round by up to a pixel, and the bitmap was rounded before it was moved.
      assert.ok(apart(bbox, asBitmap.annotation.bbox) <= 5, `round ${round}: ${bbox} and ${asBitmap.annotation.bbox}`);
      assert.ok(Math.abs(moved.visible - asBitmap.visible) < 0.1);
    }
    assert.ok(seen > 250, String(seen));
  });

  test('points inside stay inside, keep what is known of them, or are no longer labelled', () => {
    const random = createRandom(2);
    for (let round = 0; round < 400; round++) {
      const object = randomObject(random);
      const map = randomMap(random);
      const moved = move(object, map);
      if (moved === undefined) continue;
      const [x, y, width, height] = moved.annotation.bbox;
      const { keypoints = [], numKeypoints } = moved.annotation;
      for (let i = 0; i < keypoints.length; i += 3) {
        const [px, py, v] = keypoints.slice(i, i + 3) as [number, number, number];
        if (v === 0) assert.deepEqual([px, py], [0, 0]);
        else assert.ok(px >= x - 1e-6 && py >= y - 1e-6 && px <= x + width + 1e-6 && py <= y + height + 1e-6);
      }
      assert.equal(numKeypoints, keypoints.filter((value, i) => i % 3 === 2 && value > 0).length);
      if (moved.visible > 1 - 1e-9)
        assert.deepEqual(
          keypoints.filter((_, i) => i % 3 === 2).sort(),
          [0, 1, 2],
          'an object that is wholly there has all of its points',
        );
    }
  });

  test('two moves in a row are the move by both, where nothing is cut', () => {
    const random = createRandom(4);
    const first = inOrder(translation(-60, -45), rotation(25), scaling(0.5, 0.5), translation(60, 45));
    const second = inOrder(mirroring('horizontal', WIDTH), translation(-60, -45), shearing(9, 0), translation(60, 45));
    for (let round = 0; round < 40; round++) {
      const object = randomObject(random);
      const once = move(object, inOrder(first, second))!.annotation;
      const twice = move(move(object, first)!.annotation, second)!.annotation;
      assert.ok(apart(once.bbox, twice.bbox) < 1e-9);
      assert.ok(Math.abs(once.area - twice.area) < 1e-9);
      for (const [i, value] of once.keypoints!.entries()) assert.ok(Math.abs(value - twice.keypoints![i]!) < 1e-9);
    }
  });
});

describe('an object', () => {
  const outline = [20, 30, 60, 30, 60, 50, 20, 50];
  const whole = annotated({
    segmentation: polygons(outline),
    keypoints: [25, 35, 2, 55, 35, 1, 0, 0, 0],
    numKeypoints: 2,
    isCrowd: true,
  });

  test('that stays where it is stays as it is, bit by bit', () => {
    for (const segmentation of [polygons(outline), asRle([outline])])
      assert.deepEqual(move({ ...whole, segmentation }, identityMap), {
        annotation: { ...whole, segmentation },
        visible: 1,
      });
    const odd = annotated({ bbox: boxXywh(0.1, 0.2, 0.7, 0.3) });
    assert.deepEqual(move(odd, identityMap), { annotation: odd, visible: 1 });
  });

  test('changes sides in a mirrored picture, upside down as well: what was the left hand looks like a right one', () => {
    const mirrored = move(whole, mirroring('horizontal', WIDTH))!.annotation;
    assert.deepEqual([...mirrored.bbox], [60, 30, 40, 20]);
    assert.deepEqual(mirrored.keypoints, [65, 35, 1, 95, 35, 2, 0, 0, 0]);
    const upsideDown = move(whole, mirroring('vertical', HEIGHT))!.annotation;
    assert.deepEqual([...upsideDown.bbox], [20, 40, 40, 20]);
    assert.deepEqual(upsideDown.keypoints, [55, 55, 1, 25, 55, 2, 0, 0, 0]);
    // Half a turn is both, and turns left into left again.
    const turned = move(whole, inOrder(mirroring('horizontal', WIDTH), mirroring('vertical', HEIGHT)))!.annotation;
    assert.deepEqual(turned.keypoints, [95, 55, 2, 65, 55, 1, 0, 0, 0]);
    assert.equal(mirrored.isCrowd, true);
    assert.equal(mirrored.categoryId, 3);
  });

  test('whose points name pixel centres is mirrored to width - 1 - x', () => {
    const options = { width: WIDTH, height: HEIGHT, keypointFlipOrder: order, pixelCentres: true };
    const { annotation } = moveAnnotation(whole, mirroring('horizontal', WIDTH), options)!;
    assert.deepEqual(annotation.keypoints, [64, 35, 1, 94, 35, 2, 0, 0, 0]);
    assert.deepEqual(annotation.segmentation, polygons([99, 30, 59, 30, 59, 50, 99, 50]));
    // A box of 40 pixels has the same 40 pixels whatever its corners are called.
    assert.deepEqual([...annotation.bbox], [60, 30, 40, 20]);
  });

  test('that is cut has the box of what is left of its mask, the share that is left, and its area', () => {
    // An L whose foot is cut off: the box of what is left is the stroke's, not the cut box.
    const stroke = [20, 10, 30, 10, 30, 50, 60, 50, 60, 60, 20, 60];
    const letter = annotated({ bbox: boxXywh(20, 10, 40, 50), area: 800, segmentation: polygons(stroke) });
    const { annotation, visible } = move(letter, identityMap, { width: WIDTH, height: 40 })!;
    assert.deepEqual([...annotation.bbox], [20, 10, 10, 30]);
    assert.ok(Math.abs(visible - 300 / 800) < 1e-12 && Math.abs(annotation.area - 300) < 1e-9);
    const bitmap = move({ ...letter, segmentation: asRle([stroke]) }, identityMap, { width: WIDTH, height: 40 })!;
    assert.deepEqual([...bitmap.annotation.bbox], [20, 10, 10, 30]);
    assert.ok(bitmap.annotation.segmentation?.kind === 'rle' && rleArea(bitmap.annotation.segmentation.rle) === 300);
    const { segmentation: _, ...boxOnly } = letter;
    const box = move(boxOnly, identityMap, { width: WIDTH, height: 40 })!;
    assert.deepEqual([...box.annotation.bbox], [20, 10, 40, 30]);
    assert.equal(box.visible, 30 / 50);
  });

  test('without a mask has, turned, the box about its corners', () => {
    const map = inOrder(translation(-40, -40), rotation(90), translation(40, 40));
    const { bbox } = move(annotated({}), map)!.annotation;
    assert.ok(apart(bbox, [30, 20, 20, 40]) < 1e-9);
    const slanted = inOrder(translation(-40, -40), rotation(45), translation(40, 40));
    const around = move(annotated({}), slanted)!.annotation.bbox;
    assert.ok(Math.abs(around[2] - 60 / Math.SQRT2) < 1e-9);
    const disc = Array.from({ length: 64 }, (_, i) => (i * Math.PI) / 32).flatMap((angle) => [
      40 + 10 * Math.cos(angle),
      40 + 10 * Math.sin(angle),
    ]);
    const round = annotated({ bbox: boxXywh(30, 30, 20, 20), segmentation: polygons(disc) });
    assert.ok(apart(move(round, slanted)!.annotation.bbox, [30, 30, 20, 20]) < 1e-9, 'a disc stays in its box');
  });

  test('of which nothing is left is none', () => {
    assert.equal(move(whole, translation(-60, 0)), undefined);
    assert.equal(move(whole, translation(200, 0)), undefined);
    // The box is there, the mask in its corner is not.
    const corner = annotated({ segmentation: polygons([55, 45, 60, 45, 60, 50]) });
    assert.equal(move(corner, translation(66, 0)), undefined);
  });
});
