// The pictures were drawn with pycocotools 2.0: the polygon's x as (x - x1) * 8 / max(x2 - x1, 1), its y likewise, then
// mask.decode(mask.frPyObjects(polygons, 8, 8)).sum(2) > 0, printed with # for 1.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { maskPolygons } from './mask-polygons.js';

const TRIANGLE = [Float64Array.of(10, 10, 50.5, 14, 30.25, 60)];
const TWO_PARTS = [Float64Array.of(60, 20, 90, 20, 90, 40, 60, 40), Float64Array.of(70, 50, 85, 52, 80, 70.5)];

/** What is drawn inside one box, 8 x 8 cells, as rows of # and dots. */
function draw(box: readonly number[], objects: readonly (readonly Float64Array[])[]): string[] {
  const cells = maskPolygons(Float32Array.from(box), objects, 8);
  return Array.from({ length: 8 }, (_, row) =>
    Array.from(cells.subarray(row * 8, row * 8 + 8), (cell) => (cell === 1 ? '#' : '.')).join(''),
  );
}

const CASES = [
  {
    what: 'a polygon that reaches beyond its box',
    object: TRIANGLE,
    box: [12.5, 8, 45, 58.75],
    rows: ['#.......', '########', '.#######', '..######', '..#####.', '...###..', '...###..', '....#...'],
  },
  {
    what: 'a polygon in a part of its box',
    object: TRIANGLE,
    box: [0, 0, 100, 80],
    rows: ['........', '.###....', '.###....', '..#.....', '..#.....', '..#.....', '........', '........'],
  },
  {
    what: 'a box of less than a pixel, which counts as one',
    object: TRIANGLE,
    box: [20, 20, 20.2, 20.3],
    rows: new Array<string>(8).fill('########'),
  },
  {
    what: 'an object of two parts',
    object: TWO_PARTS,
    box: [55, 15, 95.5, 75],
    rows: ['........', '.######.', '.######.', '........', '........', '....##..', '....#...', '........'],
  },
  {
    what: 'an object of which a border alone lies in the box',
    object: TWO_PARTS,
    box: [88, 30, 120, 60],
    rows: ['#.......', '#.......', '#.......', '........', '........', '........', '........', '........'],
  },
];

describe('maskPolygons', () => {
  for (const { what, object, box, rows } of CASES) {
    test(`draws as COCO's rasteriser does ${what}`, () => {
      assert.deepEqual(draw(box, [object]), rows);
    });
  }

  test('draws the object whose bounding box overlaps the box most', () => {
    const [triangle, two] = CASES.filter(({ what }) => what.startsWith('an object of two') || what.includes('beyond'));
    for (const { box, rows } of [triangle!, two!]) {
      assert.deepEqual(draw(box, [TRIANGLE, TWO_PARTS]), rows);
      assert.deepEqual(draw(box, [TWO_PARTS, TRIANGLE]), rows);
    }
  });

  test('draws the object that is named', () => {
    const { box, rows } = CASES[0]!;
    for (const [objects, own] of [
      [[TRIANGLE, TWO_PARTS], 0],
      [[TWO_PARTS, TRIANGLE], 1],
    ] as const) {
      const named = maskPolygons(Float32Array.from(box), objects, 8, [own]);
      assert.deepEqual(Array.from(named, (cell) => (cell === 1 ? '#' : '.')).join(''), rows.join(''));
    }
    const other = maskPolygons(Float32Array.from(CASES[3]!.box), [TRIANGLE, TWO_PARTS], 8, [0]);
    assert.notDeepEqual(other, maskPolygons(Float32Array.from(CASES[3]!.box), [TRIANGLE, TWO_PARTS], 8, [1]));
  });

  test('draws each of several boxes by itself', () => {
    const boxes = Float32Array.from([CASES[0]!, CASES[3]!].flatMap(({ box }) => box));
    const cells = maskPolygons(boxes, [TRIANGLE, TWO_PARTS], 8);
    const count = (at: number): number => cells.subarray(at * 64, at * 64 + 64).reduce((sum, cell) => sum + cell, 0);
    const expected = [CASES[0]!, CASES[3]!].map(({ rows }) => rows.join('').replaceAll('.', '').length);
    assert.deepEqual([cells.length, count(0), count(1)], [128, ...expected]);
  });

  test('draws nothing where no object has polygons', () => {
    assert.ok(maskPolygons(Float32Array.of(0, 0, 10, 10), [], 4).every((cell) => cell === 0));
    assert.ok(maskPolygons(Float32Array.of(0, 0, 10, 10), [[]], 4).every((cell) => cell === 0));
  });
});
