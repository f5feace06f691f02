import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type Annotation,
  boxXywh,
  createRandom,
  decodeMask,
  encodeMask,
  type ImageRecord,
  polygonsToRle,
  type Random,
  type RgbImage,
} from '@goshawk/core';
import { type AugmentStepsConfig, parseConfig } from '../../config/index.js';
import type { DatasetSample } from '../dataset.js';
import type { AnnotatedPicture } from './annotated-picture.js';
import { changeColors } from './change-colors.js';
import { mixupOf, mosaicOf } from './combine-pictures.js';
import { makePicture } from './make-picture.js';
import { movePicture, resizePicture } from './move-picture.js';
import { planSteps, type SizedPlan } from './plan-steps.js';
import type { PlannedPicture } from './planned-picture.js';

const stepsOf = (text: string): AugmentStepsConfig =>
  parseConfig(`{model: {type: mask_rcnn}, data: {augment: ${text}}}`, { file: 'test.yaml' }).data.augment;

const POINTS = 2;
const conventions = { keypointFlipOrder: [1, 0] };

/**
 * Pictures in which the objects are painted: red is 255 in an object and 0 elsewhere, green alike about its first point and
 * blue about its second. What moves picture and objects alike keeps the paint on them.
 */
interface Painted extends DatasetSample {
  readonly picture: RgbImage;
}

function paintedSample(id: number, random: Random, kind: 'polygons' | 'rle'): Painted {
  const [width, height] = [80 + random.integer(60), 80 + random.integer(60)];
  const image: ImageRecord = { id, fileName: `${id}.png`, width, height };
  const data = new Uint8Array(width * height * 3);
  // One object in each half, so that they do not cover one another.
  const annotations = [0, 1].map((half): Annotation => {
    const [cx, cy] = [width * (0.27 + 0.46 * half), height * (0.35 + 0.3 * random.uniform())];
    const [rx, ry] = [width * 0.16, height * (0.18 + 0.1 * random.uniform())];
    const outline = Array.from({ length: 24 }, (_, i) => (i * Math.PI) / 12).flatMap((angle) => [
      cx + rx * Math.cos(angle),
      cy + ry * Math.sin(angle),
    ]);
    const rle = polygonsToRle([outline], [height, width]);
    decodeMask(rle).forEach((value, i) => {
      if (value === 1) data[i * 3] = 255;
    });
    const points = [cx - rx / 2, cy, 2, cx + rx / 2, cy, 1];
    for (const point of [0, 1])
      for (let i = 0; i < width * height; i++) {
        const [dx, dy] = [(i % width) + 0.5 - points[point * 3]!, Math.floor(i / width) + 0.5 - points[point * 3 + 1]!];
        if (dx * dx + dy * dy < 16) data[i * 3 + 1 + point] = 255;
      }
    return {
      id: id * 10 + half,
      imageId: id,
      categoryId: 1 + half,
      bbox: boxXywh(cx - rx, cy - ry, 2 * rx, 2 * ry),
      area: Math.PI * rx * ry,
      isCrowd: false,
      segmentation: kind === 'polygons' ? { kind, polygons: [outline] } : { kind, rle },
      keypoints: points,
      numKeypoints: POINTS,
    };
  });
  return { image, path: image.fileName, annotations, picture: { width, height, data } };
}

function datasetOf(count: number, kind: 'polygons' | 'rle') {
  const random = createRandom(count, 5);
  const samples = Array.from({ length: count }, (_, i) => paintedSample(i + 1, random, kind));
  const classOf = new Map([
    [1, 1],
    [2, 2],
  ]);
  return { samples, classOf };
}

type PaintedSet = ReturnType<typeof datasetOf>;

const plan = (set: PaintedSet, steps: AugmentStepsConfig, turn: number): SizedPlan =>
  planSteps(set.samples[turn % set.samples.length]!, steps, set, [7, 2, turn]);

const make = (set: PaintedSet, steps: AugmentStepsConfig, turn: number): Promise<AnnotatedPicture> =>
  makePicture(
    plan(set, steps, turn).picture,
    async ({ image }) => ({
      ...set.samples[image.id - 1]!.picture,
      data: set.samples[image.id - 1]!.picture.data.slice(),
    }),
    conventions,
  );

/** Nothing is painted where no object is. */
const BLACK = 'fill: [0, 0, 0]';
const KEEP_ALL = 'minVisible: 0, minSide: 0, maxAspect: 1000000';
const moves: Readonly<Record<string, string>> = {
  flip: '{type: flip, probability: 1}',
  'flip upside down': '{type: flip, probability: 1, direction: vertical}',
  crop: `{type: crop, ${KEEP_ALL}}`,
  resize: `{type: resize, size: 150, ${BLACK}}`,
  'resize without padding': '{type: resize, size: 97, pad: false}',
  affine: `{type: affine, degrees: 40, minScale: 0.7, maxScale: 1.5, shear: 10, translate: 0.2, ${BLACK}, ${KEEP_ALL}}`,
  'affine to a size': `{type: affine, size: [90, 130], perspective: 0.001, ${BLACK}, ${KEEP_ALL}}`,
  perspective: `{type: perspective, distortion: 0.5, ${BLACK}, ${KEEP_ALL}}`,
  mosaic: `{type: mosaic, size: 110, ${BLACK}, ${KEEP_ALL}}`,
};
const all = `[{type: flip}, {type: crop, ${KEEP_ALL}}, {type: resize, size: 120, pad: false}, {type: mosaic, size: 120, ${BLACK}, ${KEEP_ALL}},
  {type: affine, size: [120, 120], degrees: 15, minScale: 0.6, maxScale: 1.4, translate: 0.1, ${BLACK}, ${KEEP_ALL}},
  {type: perspective, probability: 0.5, ${BLACK}, ${KEEP_ALL}}, {type: flip, direction: vertical}]`;

function maskOf({ segmentation }: Annotation, { width, height }: RgbImage): Uint8Array {
  return decodeMask(
    segmentation?.kind === 'rle' ? segmentation.rle : polygonsToRle(segmentation!.polygons, [height, width]),
  );
}

/** The paint is where the masks, the boxes and the points are: to a pixel at their edges. */
function requireTogether({ image, objects }: AnnotatedPicture, where: string, isMirrored?: boolean): void {
  const { width, height, data } = image;
  const union = new Uint8Array(width * height);
  for (const { annotation } of objects) {
    maskOf(annotation, image).forEach((value, i) => {
      union[i]! |= value;
    });
    const [x, y, w, h] = annotation.bbox;
    assert.ok(x >= 0 && y >= 0 && x + w <= width + 1e-9 && y + h <= height + 1e-9, `${where}: box in the picture`);
    const seen = [0, 1].flatMap((point) => {
      const [px, py, v] = annotation.keypoints!.slice(point * 3, point * 3 + 3) as [number, number, number];
      if (v === 0 || px < 1 || py < 1 || px > width - 1 || py > height - 1) return [];
      assert.ok(px >= x - 1e-6 && px <= x + w + 1e-6 && py >= y - 1e-6 && py <= y + h + 1e-6, `${where}: in the box`);
      const at = (Math.floor(py) * width + Math.floor(px)) * 3;
      // In a mirrored picture the first point is where the second was painted.
      const isOwn = data[at + 1 + point]! > 100;
      assert.ok(isOwn || data[at + 2 - point]! > 100, `${where}: point ${point} of ${annotation.id} lies on paint`);
      assert.equal(v === 2, isOwn === (point === 0), `${where}: the point takes along what is known of it`);
      return [isOwn];
    });
    assert.ok(new Set(seen).size < 2, `${where}: both points change sides or none`);
    if (isMirrored !== undefined) assert.ok(seen.every((isOwn) => isOwn !== isMirrored));
  }
  // Where a pixel and its neighbours agree on being inside or outside, so does the paint.
  for (let y = 1; y < height - 1; y++)
    for (let x = 1; x < width - 1; x++) {
      const i = y * width + x;
      let sum = 0;
      for (const dy of [-1, 0, 1]) for (const dx of [-1, 0, 1]) sum += union[i + dy * width + dx]!;
      if (sum === 9) assert.ok(data[i * 3]! > 60, `${where}: paint in the mask at ${x} ${y}`);
      if (sum === 0) assert.ok(data[i * 3]! < 195, `${where}: no paint outside at ${x} ${y}`);
    }
}

describe('picture, masks, boxes and keypoints move together', () => {
  for (const kind of ['polygons', 'rle'] as const) {
    const set = datasetOf(5, kind);
    for (const [name, step] of Object.entries(moves))
      test(`${kind}: ${name}`, async () => {
        const steps = stepsOf(`[${step}]`);
        let seen = 0;
        for (let turn = 0; turn < 12; turn++) {
          const picture = await make(set, steps, turn);
          const { width, height } = plan(set, steps, turn);
          assert.deepEqual([picture.image.width, picture.image.height], [width, height], 'the planned size');
          requireTogether(picture, `${name} ${turn}`, name.startsWith('flip'));
          seen += picture.objects.length;
        }
        assert.ok(seen > 10, String(seen));
      });
    test(`${kind}: all in a row`, async () => {
      const steps = stepsOf(all);
      for (let turn = 0; turn < 12; turn++) requireTogether(await make(set, steps, turn), String(turn));
    });
  }
});

describe('steps', () => {
  const set = datasetOf(5, 'polygons');

  test('that move nothing give the picture and its objects back, bit for bit', async () => {
    const still = stepsOf(
      `[{type: crop, minShare: 1}, {type: affine}, {type: perspective, distortion: 0}, {type: hsv, hue: 0, saturation: 0, value: 0},
        {type: color, brightness: 0, contrast: 0, saturation: 0}, {type: noise, minSigma: 0, maxSigma: 0}, {type: mixup, probability: 0},
        {type: one_of, choices: [{}]}]`,
    );
    for (let turn = 0; turn < 5; turn++) {
      const { image, objects } = await make(set, still, turn);
      assert.deepEqual(image, set.samples[turn]!.picture);
      assert.deepEqual(
        objects.map(({ annotation }) => annotation),
        set.samples[turn]!.annotations,
      );
    }
  });

  test('act in the order in which they stand', async () => {
    const sizes = ['{type: resize, size: 200, pad: false}', '{type: crop, minShare: 0.5, maxShare: 0.5}'];
    const [resized, cropped] = await Promise.all([
      make(set, stepsOf(`[${sizes[1]}, ${sizes[0]}]`), 0),
      make(set, stepsOf(`[${sizes.join(', ')}]`), 0),
    ]);
    assert.equal(Math.max(resized.image.width, resized.image.height), 200);
    assert.equal(Math.max(cropped.image.width, cropped.image.height), 100);
  });

  test('act on the share of the pictures that is asked for, each by a chance of its own', () => {
    const steps = stepsOf('[{type: hsv, probability: 0.3}, {type: noise, probability: 0.8}]');
    const kinds = Array.from({ length: 1000 }, (_, turn) =>
      plan(set, steps, turn).picture.steps!.map(({ kind }) => kind),
    );
    const share = (is: (kinds: string[]) => boolean) => kinds.filter(is).length / 1000;
    assert.ok(Math.abs(share((own) => own.includes('hsv')) - 0.3) < 0.06);
    assert.ok(Math.abs(share((own) => own.includes('noise')) - 0.8) < 0.06);
    assert.ok(Math.abs(share((own) => own.length === 2) - 0.24) < 0.06);
  });

  test('of which one is drawn are drawn by their weights, and one of weight 0 never', () => {
    const steps = stepsOf(
      '[{type: one_of, choices: [{weight: 1, steps: [{type: hsv}]}, {weight: 0, steps: [{type: mixup}]}, {weight: 3, steps: [{type: blur}]}]}]',
    );
    const counts = new Map<string, number>();
    for (let turn = 0; turn < 1000; turn++)
      for (const { kind } of plan(set, steps, turn).picture.steps!) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    assert.deepEqual([...counts.keys()].sort(), ['blur', 'hsv']);
    assert.ok(Math.abs(counts.get('hsv')! - 250) < 60, String(counts.get('hsv')));
  });

  test('before a mosaic or a mixup are those of the pictures that it adds, with chances of their own', () => {
    const steps = stepsOf(
      '[{type: noise}, {type: one_of, choices: [{steps: [{type: resize, size: 50}, {type: mosaic, size: 50}]}]}, {type: blur}, {type: mixup}, {type: hsv}]',
    );
    const { picture } = plan(set, steps, 3);
    assert.deepEqual(
      picture.steps!.map(({ kind }) => kind),
      ['noise', 'resize', 'mosaic', 'blur', 'mixup', 'hsv'],
    );
    const mosaic = picture.steps!.find((step) => step.kind === 'mosaic')!;
    for (const { steps: own = [] } of mosaic.others)
      assert.deepEqual(
        own.map(({ kind }) => kind),
        ['noise', 'resize'],
      );
    const seeds = [picture, ...mosaic.others].map(
      ({ steps: own = [] }) => own.find((step) => step.kind === 'noise')!.seed,
    );
    assert.equal(new Set(seeds).size, 4);
    const mixup = picture.steps!.find((step) => step.kind === 'mixup')!;
    assert.deepEqual(
      mixup.other.steps!.map(({ kind }) => kind),
      ['noise', 'resize', 'mosaic', 'blur'],
    );
  });

  test('are functions of seed and turn', () => {
    const steps = stepsOf(all);
    assert.deepEqual(plan(set, steps, 4), plan(set, steps, 4));
    assert.notDeepEqual(plan(set, steps, 4), plan(set, steps, 9));
  });
});

test('what is left undone where nothing is seen does not show', async () => {
  const set = datasetOf(5, 'polygons');
  const steps = stepsOf(
    `[{type: hsv}, {type: blur}, {type: crop}, {type: resize, size: 120, pad: false}, {type: color}, {type: perspective}, {type: blur},
      {type: mosaic, size: 120}, {type: hsv}, {type: affine, size: [90, 90], degrees: 20, minScale: 0.6, maxScale: 1.6}, {type: mixup},
      {type: blur}, {type: flip}, {type: resize, size: 100}]`,
  );
  // The same, each step on the whole picture.
  const whole = async (plan: PlannedPicture): Promise<AnnotatedPicture> => {
    // Steps may write into a picture.
    const image = structuredClone(set.samples[plan.image.id - 1]!.picture);
    let picture: AnnotatedPicture = { image, objects: [] };
    for (const step of plan.steps ?? []) {
      if (step.kind === 'move') picture = movePicture(picture, step, conventions);
      else if (step.kind === 'resize') picture = resizePicture(picture, step, conventions);
      else if (step.kind === 'mosaic')
        picture = mosaicOf([picture, ...(await Promise.all(step.others.map(whole)))], step, conventions);
      else if (step.kind === 'mixup') picture = mixupOf(picture, await whole(step.other), step);
      else picture = { ...picture, image: changeColors(picture.image, step) };
    }
    return picture;
  };
  for (let turn = 0; turn < 12; turn++)
    assert.deepEqual((await make(set, steps, turn)).image, (await whole(plan(set, steps, turn).picture)).image);
});

describe('a mixup', () => {
  test('has the objects of both pictures and light of both by the drawn share', async () => {
    const set = datasetOf(4, 'polygons');
    const steps = stepsOf('[{type: mixup, alpha: 8, fill: [10, 10, 10]}]');
    const shares: number[] = [];
    for (let turn = 0; turn < 60; turn++) {
      const { picture } = plan(set, steps, turn);
      const mixup = picture.steps![0]!;
      assert.ok(mixup.kind === 'mixup');
      shares.push(mixup.share);
      if (turn > 5) continue;
      const { image, objects } = await make(set, steps, turn);
      const [own, other] = [set.samples[turn % 4]!, set.samples[mixup.other.image.id - 1]!];
      assert.deepEqual(
        objects.map(({ annotation }) => annotation.id),
        [...own.annotations, ...other.annotations].map(({ id }) => id),
      );
      assert.deepEqual(
        objects.map(({ objectClass }) => objectClass),
        [1, 2, 1, 2],
      );
      const at = ({ picture: { width, height, data } }: Painted, x: number, y: number) =>
        x < width && y < height ? data[(y * width + x) * 3]! : 10;
      for (const [x, y] of [
        [0, 0],
        [30, 45],
        [image.width - 1, 3],
        [5, image.height - 1],
      ] as const) {
        const expected = at(own, x, y) * mixup.share + at(other, x, y) * (1 - mixup.share);
        assert.ok(Math.abs(image.data[(y * image.width + x) * 3]! - expected) < 1);
      }
    }
    // Beta(8, 8) has a deviation of 0.121.
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    assert.ok(Math.abs(mean - 0.5) < 0.06, String(mean));
    assert.ok(shares.every((share) => share > 0.05 && share < 0.95));
  });
});

describe('objects that are cut', () => {
  const set = datasetOf(5, 'polygons');

  test('stay while more than the given share is visible', async () => {
    const strict = stepsOf('[{type: crop, minShare: 0.5, maxShare: 0.5, minVisible: 0.9, minSide: 0}]');
    const lenient = stepsOf('[{type: crop, minShare: 0.5, maxShare: 0.5, minVisible: 0, minSide: 0}]');
    let [strictly, leniently] = [0, 0];
    for (let turn = 0; turn < 40; turn++) {
      const kept = (await make(set, strict, turn)).objects;
      const there = (await make(set, lenient, turn)).objects;
      for (const { annotation } of kept) {
        const whole = set.samples[turn % 5]!.annotations.find(({ id }) => id === annotation.id)!;
        assert.ok(annotation.area > 0.89 * whole.area);
      }
      strictly += kept.length;
      leniently += there.length;
    }
    assert.ok(strictly > 0 && strictly < leniently, `${strictly} of ${leniently}`);
  });

  test('stay while they are larger and less drawn out than asked for', async () => {
    const none = await make(set, stepsOf('[{type: affine, degrees: 10, minSide: 500}]'), 0);
    assert.deepEqual(none.objects, []);
    const round = await make(set, stepsOf('[{type: affine, degrees: 1, maxAspect: 1}]'), 0);
    assert.deepEqual(round.objects, []);
  });
});

test('a bitmap and an outline of it go the same way through everything', async () => {
  const [outlines, bitmaps] = [datasetOf(5, 'polygons'), datasetOf(5, 'rle')];
  const steps = stepsOf(all);
  for (let turn = 0; turn < 8; turn++) {
    const [a, b] = await Promise.all([make(outlines, steps, turn), make(bitmaps, steps, turn)]);
    const union = (picture: AnnotatedPicture) =>
      picture.objects.reduce(
        (sum, { annotation }) => {
          maskOf(annotation, picture.image).forEach((value, i) => {
            sum[i]! |= value;
          });
          return sum;
        },
        new Uint8Array(picture.image.width * picture.image.height),
      );
    const [ua, ub] = [union(a), union(b)];
    const differing = ua.filter((value, i) => value !== ub[i]).length;
    const covered = ua.filter((value) => value === 1).length;
    assert.ok(differing < 0.12 * covered + 40, `turn ${turn}: ${differing} of ${covered}`);
    assert.ok(encodeMask(ua, [a.image.height, a.image.width]).counts.length > 0);
  }
});
