import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Category } from '../formats/dataset.js';
import type { RgbImage } from '../geometry/image.js';
import { encodeMask } from '../masks/rle-encode.js';
import { blockText } from '../testing/block-text.js';
import { DetectionPainter, type DrawnItem, drawDetections } from './draw-detections.js';
import { placeLabel } from './label-layout.js';
import { distinctColor, readableOn } from './palette.js';
import { Surface } from './surface.js';
import { canvasText, fitText, type TextContext } from './text-renderer.js';

const categories: Category[] = [
  { id: 1, name: 'thing' },
  {
    id: 7,
    name: 'person',
    keypoints: ['nose', 'left_hand', 'right_hand'],
    skeleton: [
      [1, 2],
      [1, 3],
    ],
  },
];
const grey = (width: number, height: number): RgbImage => ({
  data: new Uint8Array(width * height * 3).fill(128),
  width,
  height,
});
const pixel = ({ data, width }: RgbImage, x: number, y: number) => [
  ...data.slice((y * width + x) * 3, (y * width + x) * 3 + 3),
];
const changed = (image: RgbImage) => image.data.some((value) => value !== 128);

describe('drawDetections', () => {
  const box: DrawnItem = { categoryId: 1, bbox: [10, 12, 30, 20], score: 0.5 };

  test('leaves the input picture as it is', () => {
    const image = grey(64, 48);
    const drawn = drawDetections(image, [box], { text: blockText, categories });
    assert.ok(!changed(image));
    assert.ok(changed(drawn));
  });
  test('draws the border of a box within its pixels, in its colour, and nothing else', () => {
    const drawn = drawDetections(grey(64, 48), [box], {
      text: blockText,
      categories,
      showLabels: false,
      lineWidthPx: 1,
    });
    for (let y = 0; y < 48; y++) {
      for (let x = 0; x < 64; x++) {
        const isIn = x >= 10 && x < 40 && y >= 12 && y < 32;
        const isBorder = isIn && (x === 10 || x === 39 || y === 12 || y === 31);
        assert.deepEqual(pixel(drawn, x, y), isBorder ? [...distinctColor(0)] : [128, 128, 128], `${x}, ${y}`);
      }
    }
  });
  test('tints a mask by its opacity and outlines it', () => {
    const mask = new Uint8Array(64 * 48);
    for (let y = 10; y < 30; y++) mask.fill(1, y * 64 + 10, y * 64 + 30);
    const segmentation = { kind: 'rle', rle: encodeMask(mask, [48, 64]) } as const;
    const drawn = drawDetections(grey(64, 48), [{ categoryId: 1, segmentation }], {
      text: blockText,
      categories,
      showLabels: false,
      maskOpacity: 0.5,
    });
    assert.deepEqual(
      pixel(drawn, 20, 20),
      distinctColor(0).map((value) => Math.round((value + 128) / 2)),
    );
    assert.deepEqual(pixel(drawn, 35, 20), [128, 128, 128]);
    // The border runs between columns 9 and 10.
    assert.ok(pixel(drawn, 10, 20)[0]! > pixel(drawn, 20, 20)[0]!);
  });
  test('a polygon and the same mask as run lengths look alike', () => {
    const mask = new Uint8Array(64 * 48);
    for (let y = 10; y < 30; y++) mask.fill(1, y * 64 + 10, y * 64 + 30);
    const draw = (segmentation: DrawnItem['segmentation']) =>
      drawDetections(grey(64, 48), [{ categoryId: 1, segmentation }], { text: blockText, categories }).data;
    assert.deepEqual(
      draw({ kind: 'polygons', polygons: [[10, 10, 30, 10, 30, 30, 10, 30]] }),
      draw({ kind: 'rle', rle: encodeMask(mask, [48, 64]) }),
    );
  });
  test('colours the left limbs unlike the right ones and leaves out points without a label', () => {
    const keypoints = [32, 10, 2, 50, 30, 2, 14, 30, 1];
    const options = { text: blockText, categories, showLabels: false } as const;
    const drawn = drawDetections(grey(64, 48), [{ categoryId: 7, keypoints }], options);
    assert.notDeepEqual(pixel(drawn, 50, 30), pixel(drawn, 14, 30));
    const none = drawDetections(
      grey(64, 48),
      [{ categoryId: 7, keypoints: keypoints.map((v, i) => (i % 3 === 2 ? 0 : v)) }],
      options,
    );
    assert.ok(!changed(none));
  });
  test('refuses a mask of another picture', () => {
    const segmentation = { kind: 'rle', rle: encodeMask(new Uint8Array(12), [3, 4]) } as const;
    assert.throws(
      () => drawDetections(grey(64, 48), [{ categoryId: 1, segmentation }], { text: blockText, categories }),
      /a mask is 4 x 3, but the picture is 64 x 48/,
    );
  });
  test('survives any box in any picture', () => {
    const coordinate = fc.oneof(fc.double(), fc.integer({ min: -100, max: 100 }));
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 70 }),
        fc.tuple(coordinate, coordinate, coordinate, coordinate),
        (w, h, bbox) => {
          const drawn = drawDetections(grey(w, h), [{ categoryId: 1, bbox, score: 1 }], {
            text: blockText,
            categories,
          });
          assert.equal(drawn.data.length, w * h * 3);
        },
      ),
    );
  });
  test('names a category that is not listed by its id', () => {
    assert.ok(
      changed(
        drawDetections(grey(200, 100), [{ categoryId: 99, bbox: [20, 40, 30, 30] }], {
          text: blockText,
          categories,
          showBoxes: false,
        }),
      ),
    );
  });
});

describe('placeLabel', () => {
  const picture = { width: 100, height: 100 };
  const size = { width: 30, height: 10 };

  test('stands on the box where there is room, in it otherwise', () => {
    assert.deepEqual(placeLabel({ x: 20, y: 40, width: 50, height: 40 }, size, picture, []), { x: 20, y: 30, ...size });
    assert.deepEqual(placeLabel({ x: 20, y: 4, width: 50, height: 40 }, size, picture, []), { x: 20, y: 4, ...size });
  });
  test('stays in the picture', () => {
    assert.deepEqual(placeLabel({ x: 90, y: 40, width: 40, height: 40 }, size, picture, []), { x: 70, y: 30, ...size });
  });
  test('eight labels of one box do not cover each other', () => {
    const placed: ReturnType<typeof placeLabel>[] = [];
    for (let i = 0; i < 8; i++) placed.push(placeLabel({ x: 15, y: 25, width: 70, height: 45 }, size, picture, placed));
    for (const a of placed) {
      for (const b of placed) {
        if (a !== b)
          assert.ok(a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y);
      }
    }
  });
});

describe('the frames of a film', () => {
  const item = (trackId: number, x: number): DrawnItem => ({
    categoryId: 1,
    bbox: [x, 8, 12, 20],
    trackId,
    score: 0.5,
  });
  const border = (image: RgbImage, x: number) => pixel(image, x, 20);

  test('show an object in its own colour wherever it stands in the list', () => {
    const options = { text: blockText, categories, showLabels: false };
    const [first, second] = [
      drawDetections(grey(64, 48), [item(1, 4), item(2, 40)], options),
      drawDetections(grey(64, 48), [item(2, 30), item(3, 50)], options),
    ];
    assert.deepEqual(border(first!, 4), [...distinctColor(0)]);
    assert.deepEqual(border(first!, 40), [...distinctColor(1)]);
    assert.deepEqual(border(second!, 30), [...distinctColor(1)]);
    assert.deepEqual(border(second!, 50), [...distinctColor(2)]);
  });

  test('are drawn in place by one painter as drawDetections draws copies of them, also when their size changes', () => {
    const painter = new DetectionPainter({ text: blockText, categories });
    for (const [width, height] of [
      [64, 48],
      [64, 48],
      [90, 70],
    ] as const) {
      const mask = new Uint8Array(width * height).fill(1, width * 5, width * 20);
      const segmentation = { kind: 'rle', rle: encodeMask(mask, [height, width]) } as const;
      const items = [{ ...item(1, 4), segmentation, keypoints: [8, 12, 2, 30, 30, 1] }, item(2, 30)];
      const image = grey(width, height);
      painter.paint(image, items);
      assert.deepEqual(image.data, drawDetections(grey(width, height), items, { text: blockText, categories }).data);
    }
  });
});

describe('text', () => {
  test('that is too long ends in an ellipsis', () => {
    assert.equal(fitText(blockText, 'traffic light', 10, 1000), 'traffic light');
    const cut = fitText(blockText, 'traffic light', 10, 60);
    assert.ok(cut.endsWith('…') && blockText.width(cut, 10) <= 60, cut);
    assert.equal(fitText(blockText, 'traffic light', 10, 8), '');
  });
  test('is drawn on a canvas once, and then known', () => {
    let drawn = 0;
    const context = (width: number, height: number): TextContext => {
      let filled = '';
      return {
        fillStyle: '',
        font: '',
        textBaseline: '',
        measureText: (text) => ({ width: text.length * 5 }),
        fillRect: () => undefined,
        fillText(text) {
          drawn++;
          filled = text;
        },
        getImageData: () => ({ data: new Uint8ClampedArray(width * height * 4).fill(filled === '' ? 0 : 99) }),
      };
    };
    const text = canvasText({ contextOf: context });
    const line = text.line('cat 0.50', 10);
    assert.deepEqual([line.width, line.height, line.coverage[0]], [40, 14, 99]);
    assert.equal(text.line('cat 0.50', 10), line);
    assert.notEqual(text.line('cat 0.50', 11), line);
    assert.equal(drawn, 2);
  });
  test('none is drawn without something to draw it with', () => {
    const box: DrawnItem = { categoryId: 1, bbox: [10, 12, 30, 20] };
    assert.deepEqual(
      drawDetections(grey(64, 48), [box], { categories }).data,
      drawDetections(grey(64, 48), [box], { categories, text: blockText, showLabels: false }).data,
    );
  });
});

describe('Surface', () => {
  test('a soft line covers its length times its width', () => {
    const surface = new Surface({ data: new Uint8Array(60 * 60 * 3), width: 60, height: 60 });
    surface.addLine(10, 12, 45, 40, 4);
    surface.paint([255, 0, 0]);
    const covered = surface.data.reduce((sum, value) => sum + value, 0) / 255;
    const expected = Math.hypot(35, 28) * 4 + Math.PI * 4;
    assert.ok(Math.abs(covered - expected) < 0.02 * expected, `${covered} for ${expected}`);
  });
  test('crossing lines of one figure are painted once', () => {
    const surface = new Surface({ data: new Uint8Array(20 * 20 * 3), width: 20, height: 20 });
    surface.addLine(2, 10.5, 18, 10.5, 3);
    surface.addLine(10.5, 2, 10.5, 18, 3);
    surface.paint([200, 200, 200], 0.5);
    assert.equal(surface.data[(10 * 20 + 10) * 3], 100);
  });
});

describe('colours', () => {
  test('of the first 16 any two are well apart', () => {
    for (let a = 0; a < 16; a++) {
      for (let b = 0; b < a; b++) {
        const d = Math.hypot(...distinctColor(a).map((value, c) => value - distinctColor(b)[c]!));
        assert.ok(d > 35, `${a} and ${b}: ${d}`);
      }
    }
  });
  test('text is dark on light colours and light on dark ones', () => {
    assert.ok(readableOn([255, 255, 255])[0] < 50);
    assert.ok(readableOn([20, 20, 120])[0] > 200);
  });
});
