import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { InputError, type Preprocess, torchvisionPreprocess } from '@goshawk/core';
import sharp from 'sharp';
import { parseConfig } from '../config/index.js';
import type { Batch } from './batch.js';
import { type DatasetOptions, openCocoDataset } from './dataset.js';
import { createLoader, type LoaderOptions } from './loader.js';

const preprocess: Preprocess = {
  ...torchvisionPreprocess,
  resize: { ...torchvisionPreprocess.resize, minSize: 64, maxSize: 120 },
};

// Ten pictures: wide and tall, JPEG and PNG, one grey, one without an object, one turned by EXIF.
let folder: string;
let annotations: string;
const images = () => join(folder, 'images');
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'goshawk-loader-'));
  annotations = join(folder, 'annotations.json');
  await mkdir(images());
  const records: object[] = [];
  const objects: object[] = [];
  for (let i = 0; i < 10; i++) {
    const [width, height] = i % 3 === 0 ? [50, 70 + i] : [80 + i, 60];
    const noise = Buffer.from(Array.from({ length: width * height * 3 }, (_, k) => ((k + i) * (k + i) * 31) % 251));
    const picture = sharp(noise, { raw: { width, height, channels: 3 } });
    const fileName = `${i}.${i % 2 === 0 ? 'jpg' : 'png'}`;
    if (i === 2) await picture.greyscale().jpeg().toFile(join(images(), fileName));
    else if (i === 6)
      await picture.rotate(-90).jpeg().withMetadata({ orientation: 6 }).toFile(join(images(), fileName));
    else await picture.toFile(join(images(), fileName));
    records.push({ id: i + 100, file_name: fileName, width, height });
    if (i === 4) continue;
    const polygon = [5, 5, 30, 5, 30, 40, 5, 40];
    const box = { bbox: [5, 5, 25, 35], area: 875, segmentation: [polygon] };
    objects.push({ id: i + 1, image_id: i + 100, category_id: i % 2 === 0 ? 44 : 1, iscrowd: 0, ...box });
  }
  const categories = [
    { id: 44, name: 'bottle' },
    { id: 1, name: 'person' },
  ];
  await writeFile(annotations, JSON.stringify({ images: records, annotations: objects, categories }));
});
after(() => rm(folder, { recursive: true }));

const open = (options: DatasetOptions = {}) => openCocoDataset({ annotations, images: images() }, options);
const training = (workers: number, more: Partial<LoaderOptions> = {}) =>
  createLoader({
    dataset: open({ masks: true }),
    preprocess,
    batchSize: 2,
    shuffle: true,
    seed: 11,
    workers,
    augment: { flip: 0.5, minSizes: [48, 64] },
    ...more,
  });

/** A batch as text: pictures, targets, and the pixels by their hash. */
function digest(batch: Batch): string {
  const pixels = createHash('sha256').update(Buffer.from(batch.pixels.slice().buffer)).digest('hex');
  return JSON.stringify([pixels, batch.width, batch.height, batch.images, batch.targets]);
}

async function digests(loader: ReturnType<typeof createLoader>, count: number): Promise<string[]> {
  const out: string[] = [];
  for await (const batch of loader) {
    out.push(digest(batch));
    batch.release();
    if (out.length === count) break;
  }
  return out;
}

test('the batches are the same for 0, 1 and 3 workers, and for another prefetch', async () => {
  const expected = await digests(training(0), 12);
  assert.equal(new Set(expected).size, 12);
  for (const workers of [1, 3])
    assert.deepEqual(await digests(training(workers, { prefetch: workers + 1 }), 12), expected);
  assert.notDeepEqual(await digests(training(0, { seed: 12 }), 12), expected);
});

test('a loader that starts at a saved state continues with identical batches, in the middle of a pass', async () => {
  const whole = training(1);
  for (let i = 0; i < 7; i++) (await whole.next()).value!.release();
  const saved = JSON.parse(JSON.stringify(whole.state()));
  const expected = await digests(whole, 8);
  assert.deepEqual(await digests(training(2, { startAt: saved, prefetch: 4 }), 8), expected);
});

describe('a share of each batch', () => {
  const jitter = { augment: { jitter: { size: [70, 90], minScale: 0.4, maxScale: 2.5 }, flip: 0.5 } } as const;

  for (const [name, more] of Object.entries({ 'resized pictures': {}, 'jittered pictures': jitter }))
    test(`is that part of the whole one, drawn and padded alike: ${name}`, async () => {
      const wholes = training(0, { batchSize: 4, ...more });
      for (const count of [2, 3]) {
        const shares = Array.from({ length: count }, (_, index) =>
          training(index, { batchSize: 4, startAt: wholes.state(), share: { index, count }, ...more }),
        );
        for (let i = 0; i < 6; i++) {
          const whole = (await wholes.next()).value!;
          const parts = await Promise.all(shares.map(async (loader) => (await loader.next()).value!));
          for (const part of parts) assert.deepEqual([part.width, part.height], [whole.width, whole.height]);
          assert.deepEqual(
            parts.flatMap((part) => part.images),
            whole.images,
          );
          assert.deepEqual(
            parts.flatMap((part) => part.targets),
            whole.targets,
          );
          assert.deepEqual(Buffer.concat(parts.map(({ pixels }) => bytesOf(pixels))), bytesOf(whole.pixels));
          for (const batch of [whole, ...parts]) batch.release();
          // All are where one process is, and go on with any number of them.
          for (const loader of shares) assert.deepEqual(loader.state(), wholes.state());
        }
        for (const loader of shares) await loader.close();
      }
      await wholes.close();
    });
});

function bytesOf(pixels: Float32Array): Buffer {
  return Buffer.from(pixels.slice().buffer);
}

describe('pictures with steps', () => {
  const { augment: steps } = parseConfig(
    `{model: {type: mask_rcnn}, data: {augment: [
      {type: one_of, choices: [{steps: [{type: hsv}]}, {steps: [{type: noise}]}, {steps: [{type: blur}]}]},
      {type: one_of, choices: [
        {steps: [{type: crop}, {type: resize, size: 70}, {type: affine, degrees: 10}, {type: mixup, probability: 0.5}]},
        {steps: [{type: resize, size: 70, pad: false}, {type: mosaic, size: 70}, {type: affine, size: [70, 70], minScale: 0.5}]}]},
      {type: perspective, probability: 0.3}, {type: flip, direction: vertical}]}}`,
    { file: 'steps.yaml' },
  ).data;
  const augment = { steps, flip: 0.5 };

  test('are the same for any number of workers, and from a saved state on', async () => {
    const more = { augment, dataset: open({ masks: true, polygons: true }) };
    const expected = await digests(training(0, more), 12);
    assert.equal(new Set(expected).size, 12);
    const first = training(1, more);
    for (let i = 0; i < 5; i++) (await first.next()).value!.release();
    const saved = JSON.parse(JSON.stringify(first.state()));
    await first.close();
    assert.deepEqual(await digests(training(2, { ...more, startAt: saved }), 7), expected.slice(5));
  });

  test('with jitter have their colours changed alone', async () => {
    const jitter = { size: [70, 90], minScale: 0.4, maxScale: 2.5 } as const;
    const noise = parseConfig('{model: {type: mask_rcnn}, data: {augment: [{type: noise}]}}', { file: 'noise.yaml' });
    const targetsOf = async (more: Partial<LoaderOptions>) => {
      const loader = training(0, more);
      const { value } = await loader.next();
      await loader.close();
      return value!;
    };
    const plain = await targetsOf({ augment: { jitter } });
    const noisy = await targetsOf({ augment: { jitter, steps: noise.data.augment } });
    assert.deepEqual(noisy.targets, plain.targets);
    assert.notDeepEqual(noisy.pixels, plain.pixels);
  });

  test('name the picture that cannot be read, also where a mosaic added it', async () => {
    const broken = join(folder, 'broken');
    await cp(images(), broken, { recursive: true });
    await truncate(join(broken, '5.png'), 60);
    const dataset = openCocoDataset({ annotations, images: broken }, { masks: true });
    const mosaic = parseConfig('{model: {type: mask_rcnn}, data: {augment: [{type: mosaic, size: 64}]}}', {
      file: 'm.yaml',
    });
    for (const workers of [0, 2]) {
      const loader = training(workers, { dataset, augment: { steps: mosaic.data.augment } });
      const failed = await digests(loader, 12).catch((error: Error) => error);
      assert.ok(failed instanceof InputError && failed.code === 'image-invalid', String(failed));
      assert.equal(failed.message.match(/\d\.(jpg|png)/g)?.join(), '5.png', failed.message);
    }
  });
});

describe('jittered and cropped pictures', () => {
  const jitter = { size: [70, 90], minScale: 0.4, maxScale: 2.5 } as const;
  const cropped = { aspectCropping: { low: 0.8, high: 1.2 } };

  for (const [name, augment] of Object.entries({
    jitter: { jitter, flip: 0.5 },
    aspectCropping: { ...cropped, flip: 0.5 },
  })) {
    test(`${name}: the same for any number of workers, and from a saved state on`, async () => {
      const more = { augment, dataset: open({ masks: true, polygons: true }) };
      const whole = training(0, more);
      const expected = await digests(whole, 12);
      assert.equal(new Set(expected).size, 12);
      const first = training(0, more);
      for (let i = 0; i < 5; i++) (await first.next()).value!.release();
      const saved = JSON.parse(JSON.stringify(first.state()));
      await first.close();
      assert.deepEqual(await digests(training(2, { ...more, startAt: saved }), 7), expected.slice(5));
    });
  }

  test('jitter: every batch has the size, padded to the multiple; what is no picture is padding', async () => {
    const loader = training(0, { augment: { jitter }, preprocess: { ...preprocess, padValue: -7 } });
    for (let i = 0; i < 8; i++) {
      const { value: batch } = await loader.next();
      assert.deepEqual([batch!.width, batch!.height], [96, 96]);
      batch!.images.forEach(({ width, height }, n) => {
        assert.ok(width <= 90 && height <= 70);
        const padding = batch!.pixels.subarray(n * 96 * 96 * 3, (n + 1) * 96 * 96 * 3).filter((value) => value === -7);
        assert.equal(padding.length, (96 * 96 - width * height) * 3);
      });
      batch!.release();
    }
    await loader.close();
  });

  test('masks, boxes and polygons of a crop show the same objects', async () => {
    const loader = training(0, { augment: { jitter, flip: 0.5 }, dataset: open({ masks: true, polygons: true }) });
    for (let i = 0; i < 10; i++) {
      const { value: batch } = await loader.next();
      batch!.targets.forEach(({ boxes, masks, polygons, classes }, n) => {
        const { width, height } = batch!.images[n]!;
        assert.deepEqual([masks!.length, polygons!.length, boxes.length / 4], Array(3).fill(classes.length));
        masks!.forEach((mask, k) => {
          const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = boxes.subarray(k * 4, k * 4 + 4);
          assert.ok(x1 >= 0 && y1 >= 0 && x2 <= width && y2 <= height && x2 > x1 && y2 > y1);
          // The objects are rectangles: their masks end where their boxes do, to a pixel of the picture.
          const pixel = 1 + batch!.images[n]!.scaleX;
          const ends = [mask.x, mask.y, mask.x + mask.width, mask.y + mask.height];
          const isNear = [x1, y1, x2, y2].every((end, e) => Math.abs(end - ends[e]!) <= pixel);
          assert.ok(mask.width === 0 || isNear, `${ends} and ${[x1, y1, x2, y2]}`);
          const xs = polygons![k]![0]!.filter((_, at) => at % 2 === 0);
          assert.ok(Math.abs(Math.max(0, Math.min(...xs)) - x1) < 1e-3);
          assert.ok(Math.abs(Math.min(width, Math.max(...xs)) - x2) < 1e-3);
        });
      });
      batch!.release();
    }
    await loader.close();
  });
});

test('one pass without shuffling gives every picture once, in file order, and ends', async () => {
  const loader = createLoader({ dataset: open(), preprocess, batchSize: 4, workers: 1 });
  const ids: number[] = [];
  for await (const batch of loader) {
    ids.push(...batch.images.map((image) => image.imageId));
    batch.release();
  }
  assert.deepEqual(ids, [100, 101, 102, 103, 104, 105, 106, 107, 108, 109]);
  assert.equal((await loader.next()).done, true);
});

test('a batch is padded with zeros to a multiple of 32, its targets lie in network pixels, classes follow the ids', async () => {
  const loader = createLoader({ dataset: open({ masks: true }), preprocess, batchSize: 5, workers: 0 });
  const { value: batch } = await loader.next();
  await loader.close();
  assert.ok(batch !== undefined);
  assert.deepEqual([batch.width, batch.height, batch.pixels.length], [96, 96, 5 * 96 * 96 * 3]);
  assert.ok(batch.pixels.buffer instanceof SharedArrayBuffer);
  const [image] = batch.images;
  assert.deepEqual([image!.width, image!.height, image!.originalWidth], [64, 89, 50]);
  for (let y = 0; y < 96; y++) {
    for (let x = 0; x < 96; x++) {
      const isPadding = x >= 64 || y >= 89;
      if (isPadding) assert.equal(batch.pixels[(y * 96 + x) * 3], 0);
    }
  }
  assert.deepEqual(
    batch.targets.map((target) => [...target.classes]),
    [[2], [1], [2], [1], []],
  );
  const { boxes, masks } = batch.targets[0]!;
  assert.ok(Math.abs(boxes[2]! - 30 * image!.scaleX) < 1e-4);
  assert.deepEqual([masks![0]!.x, masks![0]!.width], [7, 32]);
});

test('batches hold tall pictures or wide ones', async () => {
  const loader = training(0);
  for (let i = 0; i < 10; i++) {
    const { value } = await loader.next();
    assert.equal(new Set(value!.images.map((image) => image.originalWidth >= image.originalHeight)).size, 1);
    value!.release();
  }
  await loader.close();
});

test('no more than `prefetch` batches are made ahead, and released memory is used again', async () => {
  const made = { count: 0 };
  const dataset = open();
  const counted = {
    ...dataset,
    samples: dataset.samples.map((sample) => ({
      ...sample,
      get path() {
        made.count++;
        return sample.path;
      },
    })),
  };
  const loader = createLoader({ dataset: counted, preprocess, batchSize: 1, shuffle: true, workers: 0, prefetch: 3 });
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  for (let wait = 0; made.count < 3 && wait < 1000; wait++) await pause(10);
  // A fourth would come at once.
  await pause(100);
  assert.equal(made.count, 3);
  const memory = new Set<ArrayBufferLike>();
  for (let i = 0; i < 30; i++) {
    const { value } = await loader.next();
    memory.add(value!.pixels.buffer);
    value!.release();
    value!.release();
  }
  assert.ok(memory.size <= 8, `${memory.size} buffers for 30 batches`);
  assert.equal(made.count, 33);
  await loader.close();
});

for (const workers of [0, 2]) {
  test(`a damaged picture is named at its place in the order, and the loader ends (${workers} workers)`, async () => {
    const dataset = open();
    const path = join(images(), 'cut.jpg');
    await writeFile(path, await sharp(join(images(), '0.jpg')).toBuffer());
    await truncate(path, 900);
    const samples = dataset.samples.map((sample, i) => (i === 3 ? { ...sample, path } : sample));
    const loader = createLoader({ dataset: { ...dataset, samples }, preprocess, batchSize: 2, workers, prefetch: 4 });
    assert.equal((await loader.next()).done, false);
    await assert.rejects(loader.next(), (error) => {
      assert.ok(error instanceof InputError);
      assert.equal(error.code, 'image-invalid');
      assert.ok(error.message.startsWith(path), error.message);
      return true;
    });
    assert.equal((await loader.next()).done, true);
  });
}

test('a picture of another size than declared is an error naming the image id and both sizes', async () => {
  const dataset = open();
  const swap = (index: number, from: number) => ({
    ...dataset,
    samples: [{ ...dataset.samples[index]!, path: dataset.samples[from]!.path }],
  });
  const load = (data: typeof dataset) => createLoader({ dataset: data, preprocess, batchSize: 1, workers: 0 }).next();
  await assert.rejects(load(swap(1, 5)), /image id 101 is 85 x 60 pixels, declared 81 x 60: boxes would be scaled/);
  const ignoring = open({ exifOrientation: 'ignore' });
  await assert.rejects(
    load({ ...ignoring, samples: [ignoring.samples[6]!] }),
    /image id 106 is 76 x 50 pixels, declared 50 x 76: EXIF orientation 6 exchanges them: set data\.exifOrientation to apply/,
  );
});

test('leaving a loop over a loader stops its workers', async () => {
  const threads = () => process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length;
  const before = threads();
  const loader = training(3);
  assert.equal(threads(), before + 3);
  for await (const batch of loader) {
    batch.release();
    break;
  }
  assert.equal(threads(), before);
});

test('a loader that is never read can be closed, twice', async () => {
  const loader = training(2);
  await Promise.all([loader.close(), loader.close()]);
  assert.equal((await loader.next()).done, true);
});

test('time spent waiting is counted', async () => {
  const loader = training(1);
  assert.equal(loader.waitSeconds, 0);
  await loader.next();
  assert.ok(loader.waitSeconds > 0);
  await loader.close();
});

test('wrong options are refused in one line', () => {
  assert.throws(() => training(0, { batchSize: 0 }), /createLoader: batchSize is 0/);
  assert.throws(() => training(0, { augment: { flip: 2 } }), /augment.flip is 2/);
  assert.throws(() => training(-1), /workers is -1/);
});

test('a link that leads out of the image folder is refused, one that stays inside is followed', async () => {
  await writeFile(join(folder, 'outside.jpg'), await sharp(join(images(), '0.jpg')).toBuffer());
  await symlink(join(folder, 'outside.jpg'), join(images(), 'out.jpg'));
  await symlink(join(images(), '0.jpg'), join(images(), 'in.jpg'));
  const file = join(folder, 'links.json');
  const write = (fileName: string) => {
    const record = { id: 5, file_name: fileName, width: 50, height: 70 };
    return writeFile(file, JSON.stringify({ images: [record], annotations: [], categories: [{ id: 1, name: 'a' }] }));
  };
  await write('out.jpg');
  assert.throws(
    () => openCocoDataset({ annotations: file, images: images() }),
    /\(image id 5\) file_name "out.jpg" is a link/,
  );
  await write('in.jpg');
  assert.equal(openCocoDataset({ annotations: file, images: images() }).samples.length, 1);
});

describe('pictures that cannot be used, where the loader may leave them out', () => {
  let own: string;
  before(async () => {
    own = join(folder, 'own');
    await cp(images(), own, { recursive: true });
    for (const name of ['1.png', '4.jpg']) await truncate(join(own, name), 200);
  });
  const openOwn = () => openCocoDataset({ annotations, images: own }, { masks: true });

  test('are missing from their batch, which tells of them; the others are what they are without', async () => {
    for (const workers of [0, 2]) {
      const options = { preprocess, batchSize: 4, workers };
      const whole = createLoader({ ...options, dataset: open({ masks: true }) });
      const loader = createLoader({ ...options, dataset: openOwn(), leaveOut: ({ code }) => code === 'image-invalid' });
      const leftOut: (readonly [place: number, fileName: string])[][] = [];
      for await (const batch of loader) {
        const { value: expected } = await whole.next();
        const left = batch.leftOut.map(({ place }) => place);
        const kept = expected!.images.flatMap((_, place) => (left.includes(place) ? [] : [place]));
        assert.deepEqual(
          batch.images,
          kept.map((place) => expected!.images[place]),
        );
        assert.deepEqual(
          batch.targets,
          kept.map((place) => expected!.targets[place]),
        );
        const floats = expected!.width * expected!.height * 3;
        assert.equal(batch.pixels.length, kept.length * floats);
        for (const [at, place] of kept.entries())
          assert.deepEqual(
            batch.pixels.subarray(at * floats, (at + 1) * floats),
            expected!.pixels.subarray(place * floats, (place + 1) * floats),
          );
        leftOut.push(batch.leftOut.map(({ place, fileName }) => [place, fileName] as const));
      }
      await whole.close();
      assert.deepEqual(leftOut, [[[1, '1.png']], [[0, '4.jpg']], []]);
    }
  });

  test('end it where they may not be left out', async () => {
    const loader = createLoader({ dataset: openOwn(), preprocess, batchSize: 4, leaveOut: () => false });
    await assert.rejects(loader.next(), (error) => error instanceof InputError && /own\/1\.png/.test(error.message));
  });
});
