// What the rules look at, on boxes whose sizes are plain.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boxXywh, type Dataset } from '@goshawk/core';
import { dataFacts } from './data-facts.js';

/** Squares on pictures of 100 x 50 pixels: of each class, by id, the sides in pixels. */
function squares(sides: Readonly<Record<number, readonly number[]>>): Dataset {
  const classes = Object.entries(sides).map(([id, own]) => ({ id: Number(id), own }));
  return {
    images: [{ id: 1, fileName: '1.jpg', width: 100, height: 50 }],
    categories: classes.map(({ id }) => ({ id, name: `class ${id}` })),
    annotations: classes
      .flatMap(({ id, own }) => own.map((side) => ({ categoryId: id, side })))
      .map(({ categoryId, side }, i) => ({
        id: i + 1,
        imageId: 1,
        categoryId,
        bbox: boxXywh(0, 0, side, side),
        area: side * side,
        isCrowd: false,
      })),
  };
}

test('sides are shares of the long side; the smallest class is told beside all objects', () => {
  const many = Array.from({ length: 100 }, () => 40);
  const { side, smallestClass, rarest } = dataFacts(squares({ 1: many, 2: [8, 9, 9], 3: [] }));
  assert.deepEqual(side, { low: 0.4, median: 0.4, high: 0.4 });
  assert.equal(smallestClass, 0.08);
  assert.deepEqual(rarest, { name: 'class 3', objects: 0 });
});
