import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Annotation, boxXywh, torchvisionPreprocess } from '@goshawk/core';
import type { DetectionDataset } from './dataset.js';
import { type Augment, type ImagePlan, planImage } from './plan-image.js';
import { boxInView } from './target.js';

const preprocess = {
  ...torchvisionPreprocess,
  resize: { ...torchvisionPreprocess.resize, minSize: 100, maxSize: 200 },
};

type Picture = readonly [width: number, height: number, boxes: readonly (readonly [number, number, number, number])[]];

function datasetOf(pictures: readonly Picture[]): DetectionDataset {
  const samples = pictures.map(([width, height, boxes], i) => ({
    image: { id: i + 1, fileName: `${i}.png`, width, height },
    path: `${i}.png`,
    annotations: boxes.map(
      ([x, y, w, h], k): Annotation => ({
        id: i * 10 + k,
        imageId: i + 1,
        categoryId: 1,
        bbox: boxXywh(x, y, w, h),
        area: w * h,
        isCrowd: false,
      }),
    ),
  }));
  return { samples } as unknown as DetectionDataset;
}

function plansOf(pictures: readonly Picture[], augment: Augment, count: number): ImagePlan[] {
  const dataset = datasetOf(pictures);
  return Array.from({ length: count }, (_, position) =>
    planImage({ index: position % pictures.length, position }, 5, { dataset, preprocess, augment }),
  );
}

const shown = ({ sample, view }: ImagePlan) =>
  sample.annotations.filter((annotation) => boxInView(annotation, sample.image, view) !== undefined);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('sizes', () => {
  test('are drawn for each picture, all equally often', () => {
    const plans = plansOf([[100, 100, []]], { minSizes: [40, 60, 80] }, 600);
    const counts = [40, 60, 80].map((size) => plans.filter(({ width }) => width === size).length);
    assert.ok(
      counts.every((count) => count > 160 && count < 240),
      counts.join(' '),
    );
  });

  test('are held to the maximum of training', () => {
    const [plan] = plansOf([[100, 400, []]], { maxSize: 120 }, 1);
    assert.deepEqual([plan!.width, plan!.height], [30, 120]);
  });
});

test('mirrored pictures are the share that was asked for: the same in expectation as doubling the data', () => {
  const plans = plansOf([[100, 100, []]], { flip: 0.5 }, 1000);
  const share = mean(plans.map(({ view }) => (view.flip ? 1 : 0)));
  assert.ok(Math.abs(share - 0.5) < 0.05, String(share));
});

describe('aspect cropping', () => {
  const aspectCropping = { low: 0.5, high: 2 };

  test('leaves pictures inside of the bounds alone, and shortens the others to them, in network pixels', () => {
    const pictures: Picture[] = [
      [100, 150, []],
      [100, 300, [[10, 200, 50, 50]]],
      [500, 100, [[300, 10, 20, 20]]],
    ];
    const [inside, tall, wide] = plansOf(pictures, { aspectCropping }, 3);
    assert.equal(inside!.view.window, undefined);
    // Resized to 66 x 200 and to 200 x 40.
    assert.deepEqual([tall!.width, tall!.height, tall!.view.window!.x], [66, 132, 0]);
    assert.deepEqual([wide!.width, wide!.height, wide!.view.window!.y], [80, 40, 0]);
    assert.deepEqual([shown(tall!).length, shown(wide!).length], [1, 1]);
  });

  test('always leaves an object', () => {
    const boxes = [
      [0, 0, 30, 30],
      [10, 900, 60, 60],
    ] as const;
    const plans = plansOf([[100, 1000, boxes]], { flip: 0.5, aspectCropping }, 200);
    assert.ok(plans.every((plan) => shown(plan).length === 1));
    assert.equal(new Set(plans.map((plan) => shown(plan)[0]!.id)).size, 2);
  });
});

describe('jitter', () => {
  const jitter = { size: [60, 80], minScale: 0.5, maxScale: 2 } as const;
  const full: Picture = [160, 80, [[0, 0, 160, 80]]];

  test('draws factors of the size evenly, and windows at every place', () => {
    const plans = plansOf([full], { jitter }, 800);
    // The picture fits into 80 x 60 pixels at half its size.
    const factors = plans.map(({ view }) => view.size.scaleX / 0.5);
    assert.ok(Math.min(...factors) > 0.47 && Math.max(...factors) <= 2, String(Math.max(...factors)));
    assert.ok(Math.abs(mean(factors) - 1.25) < 0.05, String(mean(factors)));
    for (const { view, width, height } of plans) {
      const { x, y } = view.window!;
      assert.ok(width <= 80 && height <= 60);
      assert.deepEqual([width, height], [Math.min(80, view.size.width), Math.min(60, view.size.height)]);
      assert.ok(x >= 0 && y >= 0 && x + width <= view.size.width && y + height <= view.size.height);
    }
    const large = plans.filter(({ view }) => view.size.width > 120);
    const places = large.map(({ view }) => view.window!.x / (view.size.width - 80));
    assert.ok(Math.min(...places) < 0.05 && Math.max(...places) > 0.95 && Math.abs(mean(places) - 0.5) < 0.06);
  });

  test('takes another picture where a window would show no object', () => {
    const pictures: Picture[] = [[160, 80, [[0, 0, 3, 3]]], full, full];
    const plans = plansOf(pictures, { jitter, flip: 0.5 }, 300);
    assert.ok(plans.every((plan) => shown(plan).length > 0));
    const replaced = plans.filter((plan, position) => position % 3 === 0 && plan.sample.image.id !== 1);
    assert.ok(replaced.length > 20, String(replaced.length));
  });

  test('finds the object of a data set whose windows hardly ever show it', () => {
    const plans = plansOf(
      [[100000, 100000, [[70000, 20000, 1, 1]]]],
      { jitter: { ...jitter, minScale: 99, maxScale: 100 } },
      3,
    );
    for (const plan of plans) {
      assert.equal(shown(plan).length, 1);
      assert.deepEqual([plan.width, plan.height], [80, 60]);
    }
  });

  test('keeps background pictures as they are', () => {
    assert.ok(plansOf([[50, 50, []], full], { jitter }, 40).every(({ sample }, i) => sample.image.id === (i % 2) + 1));
  });

  test('depends on the seed and the position alone', () => {
    const again = () => plansOf([full, [30, 30, [[0, 0, 9, 9]]]], { jitter, flip: 0.5 }, 30).map(({ view }) => view);
    assert.deepEqual(again(), again());
    assert.ok(new Set(again().map((view) => JSON.stringify(view))).size > 25);
  });
});
