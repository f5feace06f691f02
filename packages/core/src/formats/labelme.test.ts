// labelme's files, as its own examples have them (examples/instance_segmentation, examples/bbox_detection).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeMask } from '../masks/rle-encode.js';
import { inputErrorOf } from '../testing/input-error.js';
import { parseCoco } from './coco.js';
import { formatCoco } from './format-coco.js';
import { checkLabelme, type LabelmeOptions, labelmeNames, parseLabelme } from './labelme.js';

const shape = (label: string, points: unknown, more: object = {}) => ({
  label,
  points,
  group_id: null,
  description: '',
  shape_type: 'polygon',
  flags: {},
  mask: null,
  ...more,
});
const file = (shapes: readonly unknown[], more: object = {}) => ({
  fileName: 'photos/2011_000003.json',
  content: JSON.stringify({
    version: '5.5.0',
    flags: {},
    shapes,
    imagePath: '2011_000003.jpg',
    imageData: null,
    imageHeight: 40,
    imageWidth: 60,
    ...more,
  }),
});
const parse = (shapes: readonly unknown[], options?: LabelmeOptions) => parseLabelme([file(shapes)], options);
const refusalOf = (shapes: readonly unknown[], more?: object, options?: LabelmeOptions) =>
  inputErrorOf(() => parseLabelme([file(shapes, more)], options)).message;
const square = [
  [10, 10],
  [30, 10],
  [30, 30],
  [10, 30],
];

describe('labelme', () => {
  test('rectangles are boxes whatever corners they name, polygons have masks', () => {
    const { dataset, warnings } = parse([
      shape('person', square),
      shape(
        'bus',
        [
          [50, 30],
          [20, 5],
        ],
        { shape_type: 'rectangle' },
      ),
      shape(
        'bus',
        [
          [20, 5],
          [50, 5],
          [50, 30],
          [20, 30],
        ],
        { shape_type: 'rectangle' },
      ),
    ]);
    assert.deepEqual(
      warnings.map(({ message }) => message),
      [
        'photos/2011_000003.json: shapes[2] (labelled "bus") has the image, category and box of shapes[1]: both are kept; remove one if they are one object',
      ],
    );
    assert.deepEqual(dataset.images, [{ id: 1, fileName: '2011_000003.jpg', width: 60, height: 40 }]);
    assert.deepEqual(dataset.categories, [
      { id: 1, name: 'bus' },
      { id: 2, name: 'person' },
    ]);
    assert.deepEqual(
      dataset.annotations.map(({ categoryId, bbox, area, segmentation }) => [
        categoryId,
        [...bbox],
        area,
        segmentation?.kind,
      ]),
      [
        [2, [10, 10, 20, 20], 400, 'polygons'],
        [1, [20, 5, 30, 25], 750, undefined],
        [1, [20, 5, 30, 25], 750, undefined],
      ],
    );
  });

  test('shapes of one label and one group are one object, those of no group are not', () => {
    const right = square.map(([x, y]) => [x! + 25, y!]);
    const parts = (group: unknown, other = 'cat') => [
      shape('cat', square, { group_id: group }),
      shape(other, right, { group_id: group }),
    ];
    const [cat, ...more] = parse(parts(3)).dataset.annotations;
    assert.deepEqual(more, []);
    assert.deepEqual([[...cat!.bbox], cat!.area], [[10, 10, 45, 20], 800]);
    assert.deepEqual(cat!.segmentation, { kind: 'polygons', polygons: [square.flat(), right.flat()] });
    assert.equal(parse(parts(null)).dataset.annotations.length, 2);
    assert.equal(parse(parts(3, 'dog')).dataset.annotations.length, 2);
  });

  test('a circle is its outline: middle and a point of the rim', () => {
    const [object] = parse([
      shape(
        'ball',
        [
          [30, 20],
          [30, 32],
        ],
        { shape_type: 'circle' },
      ),
    ]).dataset.annotations;
    assert.deepEqual([...object!.bbox].map(Math.round), [18, 8, 24, 24]);
    assert.ok(Math.abs(object!.area - Math.PI * 144) < 12, String(object!.area));
  });

  test('a turned rectangle has an outline, and the box around it', () => {
    const corners = [
      [20, 5],
      [35, 20],
      [30, 25],
      [15, 10],
    ];
    for (const shape_type of ['oriented_rectangle', 'rotation']) {
      const [object] = parse([shape('boat', corners, { shape_type, direction: 0.785 })]).dataset.annotations;
      assert.deepEqual([...object!.bbox], [15, 5, 20, 20]);
      assert.deepEqual(object!.segmentation, { kind: 'polygons', polygons: [corners.flat()] });
    }
    assert.match(
      refusalOf([shape('boat', corners.slice(0, 3), { shape_type: 'rotation' })]),
      /shapes\[0\]\.points \(labelled "boat"\) has 3 points \(expected four corners\): draw it again/,
    );
  });

  test("X-AnyLabeling's difficult objects are marked as VOC's are", () => {
    const { annotations } = parse([shape('cat', square, { difficult: true }), shape('dog', square)]).dataset;
    assert.deepEqual(
      annotations.map(({ isDifficult }) => isDifficult),
      [true, undefined],
    );
  });

  test('a mask is the PNG between its corners', () => {
    const values = [1, 1, 0, 0, 1, 1];
    const decodePng = (bytes: Uint8Array) => {
      assert.deepEqual([...bytes], [1, 2, 3]);
      return { width: 3, height: 2, values };
    };
    const mask = shape(
      'leaf',
      [
        [4, 5],
        [6, 6],
      ],
      { shape_type: 'mask', mask: btoa('\x01\x02\x03') },
    );
    const [object] = parse([mask], { decodePng }).dataset.annotations;
    assert.deepEqual([[...object!.bbox], object!.area], [[4, 5, 3, 2], 4]);
    const { segmentation } = object!;
    assert.ok(segmentation?.kind === 'rle');
    const pixels = decodeMask(segmentation.rle);
    const set = [...pixels.keys()].filter((i) => pixels[i] !== 0).map((i) => [i % 60, Math.floor(i / 60)]);
    assert.deepEqual(set, [
      [4, 5],
      [5, 5],
      [5, 6],
      [6, 6],
    ]);
    // With a polygon in the same group, both are one mask.
    const both = [{ ...mask, group_id: 1 }, shape('leaf', square, { group_id: 1 })];
    const [joined] = parse(both, { decodePng }).dataset.annotations;
    assert.equal(joined!.area, 404);
    assert.deepEqual([...joined!.bbox], [4, 5, 26, 25]);
    assert.match(refusalOf([mask], {}, {}), /shapes\[0\]\.mask \(labelled "leaf"\) .*\(expected a PNG in base64\)/);
    const far = shape(
      'leaf',
      [
        [58, 5],
        [60, 6],
      ],
      { shape_type: 'mask', mask: btoa('\x01\x02\x03') },
    );
    assert.match(
      refusalOf([far], {}, { decodePng }),
      /covers 3 x 2 pixels from 58, 5 on \(expected pixels of the picture of 60 x 40\)/,
    );
  });

  test('points, lines and what is marked as of no class are left out with a word', () => {
    const { dataset, warnings } = parse([
      shape('nose', [[1, 2]], { shape_type: 'point' }),
      shape(
        'way',
        [
          [1, 2],
          [3, 4],
        ],
        { shape_type: 'line' },
      ),
      shape('__ignore__', square),
      shape('thin', [
        [1, 2],
        [3, 4],
      ]),
      shape('cat', square),
    ]);
    assert.deepEqual(dataset.categories, [{ id: 1, name: 'cat' }]);
    assert.deepEqual(
      warnings.map(({ code, path }) => [code, path]),
      [
        ['no-object', 'shapes[0]'],
        ['no-object', 'shapes[1]'],
        ['no-object', 'shapes[2]'],
        ['polygon-degenerate', 'shapes[3].points'],
      ],
    );
    assert.equal(
      warnings[0]!.message,
      'photos/2011_000003.json: shapes[0] (labelled "nose") is a point, which encloses nothing: it is left out',
    );
  });

  test("old files have polygons without a kind and no size, which is the picture's", () => {
    const old = file([{ label: 'cat', points: square, line_color: null, fill_color: null }], {
      imageHeight: undefined,
      imageWidth: undefined,
    });
    const locate = (imagePath: string | undefined) => ({
      image: `images/${imagePath}`,
      isThere: true,
      size: () => ({ width: 50, height: 45 }),
    });
    assert.deepEqual(parseLabelme([{ ...old, locate }]).dataset.images, [
      { id: 1, fileName: 'images/2011_000003.jpg', width: 50, height: 45 },
    ]);
    assert.match(
      inputErrorOf(() => parseLabelme([old])).message,
      /2011_000003\.json: imageWidth is missing \(expected whole pixels/,
    );
  });

  test('what is wrong names file, shape and remedy', () => {
    const cases: readonly (readonly [shapes: readonly unknown[], more: object, expected: RegExp])[] = [
      [
        [shape('', square)],
        {},
        /^photos\/2011_000003\.json: shapes\[0\]\.label is "" \(expected a label\): draw it again/,
      ],
      [
        [
          shape('a', [
            [1, 2],
            [3, 'x'],
            [4, 5],
          ]),
        ],
        {},
        /shapes\[0\]\.points\[1\] \(labelled "a"\) is \[3, "x"\] \(expected \[x, y\] in pixels/,
      ],
      [
        [shape('a', [[1, 2]], { shape_type: 'rectangle' })],
        {},
        /shapes\[0\]\.points .* has 1 points \(expected two corners\)/,
      ],
      [
        [shape('a', square, { shape_type: 'heart' })],
        {},
        /shapes\[0\]\.shape_type .* is "heart" \(expected rectangle, polygon,/,
      ],
      [[], { imageHeight: -3 }, /imageHeight is -3 \(expected whole pixels, at least 1\)/],
      [[], { imagePath: '/etc/passwd' }, /imagePath is "\/etc\/passwd", which is an absolute path/],
      [[], { shapes: undefined }, /shapes is missing \(expected the list of a labelme file\)/],
    ];
    for (const [shapes, more, expected] of cases) assert.match(refusalOf(shapes, more), expected);
    assert.match(
      refusalOf([shape('dog', square)], {}, { classes: ['cat'] }),
      /shapes\[0\]\.label is "dog" \(expected cat\): add it to the classes/,
    );
    const locate = () => ({ image: 'a.jpg', isThere: false });
    const inside = { ...file([shape('cat', square)], { imageData: 'AAAA' }), locate };
    assert.match(
      inputErrorOf(() => parseLabelme([inside])).message,
      /which is not there; the picture is only inside of the file, as imageData/,
    );
    assert.equal(checkLabelme([file([shape('', square), shape('a', [])])]).length, 2);
  });

  test('a training clips to the picture, an evaluation keeps', () => {
    const over = [
      shape(
        'cat',
        [
          [40, 10],
          [70, 30],
        ],
        { shape_type: 'rectangle' },
      ),
    ];
    assert.deepEqual([...parse(over).dataset.annotations[0]!.bbox], [40, 10, 20, 20]);
    assert.deepEqual([...parse(over, { purpose: 'evaluation' }).dataset.annotations[0]!.bbox], [40, 10, 30, 20]);
  });

  test('what becomes of it as COCO is the same', () => {
    const { dataset } = parse([
      shape('cat', square, { group_id: 1 }),
      shape(
        'bus',
        [
          [50, 30],
          [20, 5],
        ],
        { shape_type: 'rectangle' },
      ),
    ]);
    assert.deepEqual(parseCoco(formatCoco(dataset), { fileName: 'a.json' }).dataset, dataset);
    assert.deepEqual(
      [...labelmeNames([file([shape('cat', square), shape('nose', [[1, 2]], { shape_type: 'point' })])])],
      ['cat'],
    );
  });
});
