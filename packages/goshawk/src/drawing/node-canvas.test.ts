import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type Category,
  canvasMeasure,
  createRandom,
  DetectionPainter,
  type DrawnItem,
  detectionInstructions,
  distinctColor,
  drawCaption,
  drawDetections,
  encodeMask,
  paintInstructions,
  polygonsToRle,
  type RgbImage,
  rleToBbox,
} from '@goshawk/core';
import { nodeCanvas } from './node-canvas.js';
import { unreadableNames, unreadableNotice } from './unreadable-names.js';

const categories: Category[] = [
  { id: 1, name: 'Füchse' },
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
const grey = (width: number, height = width): RgbImage => ({
  data: new Uint8Array(width * height * 3).fill(128),
  width,
  height,
});
const pixel = ({ data, width }: RgbImage, x: number, y: number) => [
  ...data.subarray((y * width + x) * 3).subarray(0, 3),
];
const changed = (image: RgbImage) => image.data.some((value) => value !== 128);
const canvas = nodeCanvas;
const square = (width: number, height: number) => {
  const mask = new Uint8Array(width * height);
  for (let y = 10; y < 30; y++) mask.fill(1, y * width + 10, y * width + 30);
  return { kind: 'rle', rle: encodeMask(mask, [height, width]) } as const;
};

describe('drawDetections', () => {
  const options = { categories, canvas, showLabels: false } as const;
  const box: DrawnItem = { categoryId: 1, bbox: [10, 12, 30, 20], score: 0.5 };

  test('leaves the input picture as it is', () => {
    const image = grey(64, 48);
    assert.ok(changed(drawDetections(image, [box], { categories, canvas })));
    assert.ok(!changed(image));
  });

  test('draws the border of a box within its pixels, in its colour, and nothing else', () => {
    const drawn = drawDetections(grey(64, 48), [box], { ...options, lineWidthPx: 1 });
    for (let y = 0; y < 48; y++) {
      for (let x = 0; x < 64; x++) {
        const isIn = x >= 10 && x < 40 && y >= 12 && y < 32;
        const isBorder = isIn && (x === 10 || x === 39 || y === 12 || y === 31);
        assert.deepEqual(pixel(drawn, x, y), isBorder ? [...distinctColor(0)] : [128, 128, 128], `${x}, ${y}`);
      }
    }
  });

  test('tints a mask by its opacity, inside alone, and outlines it', () => {
    const drawn = drawDetections(grey(64, 48), [{ categoryId: 1, segmentation: square(64, 48) }], {
      ...options,
      maskOpacity: 0.5,
    });
    const tinted = distinctColor(0).map((value) => (value + 128) / 2);
    // The border is a line of 1.25 pixels, rounded at corners: two pixels from it nothing of it is left.
    for (let y = 0; y < 48; y++) {
      for (let x = 0; x < 64; x++) {
        const apart = Math.max(10 - x, x - 29, 10 - y, y - 29);
        if (apart >= 2) assert.deepEqual(pixel(drawn, x, y), [128, 128, 128], `${x}, ${y}`);
        if (apart <= -2)
          pixel(drawn, x, y).forEach((value, c) => {
            assert.ok(Math.abs(value - tinted[c]!) <= 1, `${x}, ${y}: ${value}`);
          });
      }
    }
    assert.ok(pixel(drawn, 10, 20)[0]! > pixel(drawn, 20, 20)[0]!);
  });

  test('leaves the hole of a mask as it was', () => {
    const mask = new Uint8Array(64 * 48);
    for (let y = 5; y < 43; y++) mask.fill(1, y * 64 + 5, y * 64 + 59);
    for (let y = 15; y < 33; y++) mask.fill(0, y * 64 + 15, y * 64 + 49);
    const segmentation = { kind: 'rle', rle: encodeMask(mask, [48, 64]) } as const;
    const drawn = drawDetections(grey(64, 48), [{ categoryId: 1, segmentation }], options);
    assert.deepEqual(pixel(drawn, 30, 24), [128, 128, 128]);
    assert.notDeepEqual(pixel(drawn, 10, 24), [128, 128, 128]);
  });

  test('joins keypoints by limbs as wide as they should be', () => {
    const item = { categoryId: 7, keypoints: [10, 24, 2, 54, 24, 2, 0, 0, 0] };
    const drawn = drawDetections(grey(64, 48), [item], { ...options, lineWidthPx: 4 });
    const rows = Array.from({ length: 48 }, (_, y) => y).filter((y) => pixel(drawn, 32, y).join() !== '128,128,128');
    // 5 pixels, and 5 / 6 of dark on either side.
    assert.deepEqual(rows, [20, 21, 22, 23, 24, 25, 26, 27]);
  });

  test('changes nothing outside of what is drawn, and pictures in shared memory too', () => {
    const shared: RgbImage = { data: new Uint8Array(new SharedArrayBuffer(300 * 200 * 3)), width: 300, height: 200 };
    for (let i = 0; i < shared.data.length; i++) shared.data[i] = (i * 31) % 251;
    const before = shared.data.slice();
    const items: DrawnItem[] = [
      { categoryId: 1, bbox: [10, 40, 30, 20] },
      { categoryId: 1, bbox: [250, 150, 30, 20] },
    ];
    new DetectionPainter({ ...options, lineWidthPx: 1 }).paint(shared, items);
    const differing = new Set<number>();
    for (let i = 0; i < before.length; i++) if (before[i] !== shared.data[i]) differing.add(Math.floor(i / 3));
    // Of a frame of 30 x 20 the border; some channel may be the colour's already.
    assert.ok(differing.size > 180 && differing.size <= 2 * (2 * 30 + 2 * 18), String(differing.size));
  });

  test('by one painter on one picture after another is the same, also when their size changes', () => {
    const painter = new DetectionPainter({ categories, canvas });
    for (const [width, height] of [
      [64, 48],
      [64, 48],
      [90, 70],
    ] as const) {
      const items: DrawnItem[] = [
        { categoryId: 7, bbox: [4, 8, 12, 20], segmentation: square(width, height), keypoints: [8, 12, 2, 30, 30, 1] },
        { categoryId: 1, bbox: [30, 8, 12, 20], trackId: 2 },
      ];
      const image = grey(width, height);
      painter.paint(image, items);
      assert.deepEqual(image.data, drawDetections(grey(width, height), items, { categories, canvas }).data);
    }
  });

  test('is what a canvas of the whole picture holds, laid over it, though most of it is never read', () => {
    const random = createRandom(8);
    const [width, height] = [330, 250];
    const painter = new DetectionPainter({ categories, canvas });
    for (let scene = 0; scene < 12; scene++) {
      const items = Array.from({ length: 1 + random.integer(5) }, (_, i): DrawnItem => {
        const [x, y, radius] = [random.integer(width), random.integer(height), 5 + random.integer(150)];
        const corners = Array.from({ length: 30 }, (__, k) => {
          const reach = radius * (k % 5 === 0 ? random.uniform() : 1);
          return [x + reach * Math.cos((k * Math.PI) / 15), y + reach * Math.sin((k * Math.PI) / 15)];
        });
        const rle = polygonsToRle([corners.flat()], [height, width]);
        const [left, top, across, down] = rleToBbox(rle);
        return {
          categoryId: 1 + 6 * random.integer(2),
          bbox: [left, top, across, down],
          segmentation: { kind: 'rle', rle },
          score: random.uniform(),
          trackId: i + 1,
        };
      });
      const image = grey(width, height);
      for (let i = 0; i < image.data.length; i++) image.data[i] = random.integer(256);
      const context = canvas.context(width, height);
      const measure = canvasMeasure(context, canvas.font);
      paintInstructions(context, detectionInstructions(items, { categories, width, height, measure }), canvas.font);
      const above = context.getImageData(0, 0, width, height).data;
      const wanted = image.data.map((below, at) => {
        const pixel = 4 * Math.floor(at / 3);
        const cover = above[pixel + 3]!;
        return Math.round((below * (255 - cover) + above[pixel + (at % 3)]! * cover) / 255);
      });
      painter.paint(image, items);
      assert.deepEqual(image.data, wanted, `scene ${scene}`);
    }
  });

  test('of frame after frame takes no more memory', () => {
    const painter = new DetectionPainter({ categories, canvas });
    const image = grey(640, 360);
    const frames = (count: number): number => {
      for (let frame = 0; frame < count; frame++)
        painter.paint(image, [
          { categoryId: 1, bbox: [10 + (frame % 50), 12, 500, 300], segmentation: square(640, 360) },
        ]);
      return process.memoryUsage.rss();
    };
    const before = frames(100);
    const grown = (frames(300) - before) / 2 ** 20;
    // The pixels of three hundred canvases are 264 MiB.
    assert.ok(grown < 60, `${grown.toFixed(1)} MiB`);
  });

  test('survives huge and tiny numbers', () => {
    for (const value of [-1e300, 1e300, 1e-300, 3e38])
      drawDetections(
        grey(30),
        [{ categoryId: 7, bbox: [value, value, value, value], keypoints: [value, 3, 1, 5, value, 2, 1, 1, 1] }],
        { categories, canvas },
      );
  });
});

describe('text', () => {
  const SIDE = 48;
  const ink = (text: string, sizePx = 24): Uint8ClampedArray => {
    const context = canvas.context(4 * SIDE, SIDE);
    context.font = `600 ${sizePx}px ${canvas.font.family}`;
    context.fillText(text, 2, 32);
    return context.getImageData(0, 0, 4 * SIDE, SIDE).data;
  };
  const shape = (text: string) => Buffer.from(ink(text)).toString('base64');
  // What no font has is drawn as a frame.
  const frame = '\u{10fffd}';

  test('has every letter of ASCII, no two alike', () => {
    const seen = new Map<string, string>();
    for (let code = 33; code < 127; code++) {
      const letter = String.fromCharCode(code);
      assert.ok(
        ink(letter).some((value) => value > 200),
        `"${letter}" is blank`,
      );
      assert.equal(seen.get(shape(letter)), undefined, `"${letter}" looks like "${seen.get(shape(letter))}"`);
      seen.set(shape(letter), letter);
    }
  });

  test('has accents, Greek and Cyrillic of its own font, whatever fonts the system has', () => {
    const letters = [...'äöüßéčłñşžőĢΩΔλϕЖДщЂҐệ'];
    const shapes = new Set(letters.map(shape));
    assert.equal(shapes.size, letters.length);
    assert.ok(!shapes.has(shape(frame)));
    assert.notEqual(shape('ü'), shape('u'));
  });

  test('is wider where it is longer or larger', () => {
    const measure = canvasMeasure(canvas.context(1, 1), canvas.font);
    const width = measure('Füchse 0.98', 20);
    assert.ok(width > measure('Füchse', 20) && width < measure('Füchse 0.98', 40));
  });

  test('of captions leaves room for what stands above capitals and hangs below lines', () => {
    for (const text of ['ÄÖŮg', 'Ệjpqy']) {
      const { data, width, height } = drawCaption(text, { canvas, width: 120, sizePx: 24 });
      const row = (y: number) => data.subarray(y * width * 3, (y + 1) * width * 3);
      assert.ok(row(0).every((value) => value > 128) && row(height - 1).every((value) => value > 128), text);
      assert.ok(data.some((value) => value < 50));
    }
  });

  test('names that no font here can show are told', () => {
    assert.deepEqual(unreadableNames(['cat', 'Füchse', 'собака', 'Ωμέγα', `with ${frame}`]), [`with ${frame}`]);
    assert.equal(unreadableNotice(['cat', 'Füchse']), undefined);
    assert.match(unreadableNotice([frame, frame])!, /and of 1 more names, .*: install one/);
  });

  test('on labels grows with the picture', () => {
    const inked = (side: number) => {
      const item = { categoryId: 1, bbox: [side / 4, side / 4, side / 2, side / 2] as const, score: 0.9 };
      const [plain, named] = [false, true].map(
        (showLabels) => drawDetections(grey(side), [item], { categories, canvas, showLabels }).data,
      );
      return plain!.filter((value, i) => value !== named![i]).length / side ** 2;
    };
    const [small, large] = [inked(400), inked(1600)];
    assert.ok(Math.abs(small / large - 1) < 0.35, `${small} of a small picture, ${large} of a large one`);
  });
});
